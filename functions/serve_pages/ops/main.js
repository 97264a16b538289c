// /ops: the operators' room.
import * as account from "../common/session.js";
import { useStore } from "../common/store.js";
import { Announcer, Banner, Drawer, SignIn } from "../common/ui.js";
import { html, render } from "../common/vendor/htm-preact.js";

function Operators() {
  if (!useStore(account.session)) return html`<${SignIn} lead="Heist operators" />`;
  const groups = account.claims()["cognito:groups"] ?? [];
  return html`
    <header class="top">
      <span class="brand">Heist operators</span>
      <span class="who"><button onClick=${() => account.signOut()}>Sign out</button></span>
    </header>
    <main>
      <${Banner} />
      <h1>${groups.includes("operators") ? "Nothing to see yet" : "Only operators may see this"}</h1>
    </main>
    <${Drawer} />
    <${Announcer} />
  `;
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${Operators} />`, page);
