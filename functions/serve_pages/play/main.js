// /play: the game, as a person plays it.
import { call } from "../common/api.js";
import * as account from "../common/session.js";
import { useStore } from "../common/store.js";
import { Announcer, Banner, Drawer, Failed, Loading, Name, Section, SignIn, number, useLoaded } from "../common/ui.js";
import { html, render } from "../common/vendor/htm-preact.js";

function Game() {
  if (!useStore(account.session)) return html`<${SignIn} lead="Heist" />`;
  return html`<${Player} />`;
}

function Player() {
  const me = useLoaded(() => call("GET", "/me"), []);
  return html`
    <header class="top">
      <span class="brand">Heist</span>
      <span class="who">
        <${Name} of=${me.data?.name} or="you" />
        <button onClick=${() => account.signOut()}>Sign out</button>
      </span>
    </header>
    <main>
      <${Banner} />
      <${Section} id="home" title="Home" busy=${me.busy}>
        ${me.error && html`<${Failed} error=${me.error} again=${me.again} />`}
        ${!me.data && me.busy && html`<${Loading} what="your points" />`}
        ${me.data && html`<p>${number(me.data.points)} points, ${number(me.data.tokens)} tokens</p>`}
      <//>
    </main>
    <${Drawer} />
    <${Announcer} />
  `;
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${Game} />`, page);
