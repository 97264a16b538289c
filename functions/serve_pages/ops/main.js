// /ops: the operators' room. Which screen is shown stands behind the # of the address.
import { Refused, call } from "../common/api.js";
import * as account from "../common/session.js";
import { useStore } from "../common/store.js";
import { Announcer, Banner, Drawer, Name, Note, SignIn } from "../common/ui.js";
import { html, render, useEffect, useRef, useState } from "../common/vendor/htm-preact.js";
import { Heist } from "./heist.js";
import { Actions, Audit, Letters } from "./lists.js";
import { Player } from "./player.js";
import { Reports } from "./reports.js";
import { Settings } from "./settings.js";

const SCREENS = {
  "": { title: "Search", draw: (_, may) => html`<${Search} may=${may} />` },
  player: { draw: (id, may) => html`<${Player} key=${id} id=${id} may=${may} />` },
  heist: { draw: (id, may) => html`<${Heist} key=${id} id=${id} may=${may} />` },
  settings: { title: "Settings", draw: (_, may) => html`<${Settings} may=${may} />` },
  reports: { title: "Reports", draw: () => html`<${Reports} />` },
  letters: { title: "Dead letters", draw: () => html`<${Letters} />` },
  audit: { title: "Audit", draw: () => html`<${Audit} />` },
  actions: { title: "Actions", draw: () => html`<${Actions} />` },
};

function place() {
  const [screen, id = ""] = location.hash.replace(/^#\/?/, "").split("/");
  try {
    return { screen: screen in SCREENS ? screen : "", id: decodeURIComponent(id) };
  } catch {
    return { screen: "", id: "" };
  }
}

function usePlace() {
  const [at, go] = useState(place());
  useEffect(() => {
    const look = () => go(place());
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, []);
  return at;
}

function Operators() {
  const session = useStore(account.session);
  const { screen, id } = usePlace();
  const main = useRef();
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [screen, id]);
  if (!session) return html`<${SignIn} lead="Heist operators" />`;
  const claims = account.claims();
  const groups = Array.isArray(claims["cognito:groups"]) ? claims["cognito:groups"] : [];
  const may = groups.includes("operators");
  const there = may || groups.includes("support");
  return html`
    <a class="skip" href="#content">Skip to the content</a>
    <header class="top">
      <span class="brand">Heist operators</span>
      ${there && html`
        <nav aria-label="Screens">
          ${Object.entries(SCREENS).map(([name, { title }]) => title && html`
            <a key=${name} href="#/${name}" aria-current=${name === screen ? "page" : null}>${title}</a>
          `)}
        </nav>
      `}
      <span class="who">
        <${Name} of=${session.userName} or="signed in" />
        ${there && html`<span class="tag">${may ? "operator" : "support: read only"}</span>`}
        <button onClick=${() => account.signOut()}>Sign out</button>
      </span>
    </header>
    <main id="content" tabindex="-1" ref=${main}>
      <${Banner} />
      ${there
        ? SCREENS[screen].draw(id, may)
        : html`<h1>Only operators may see this</h1>
            <p>Your account is in neither of the groups <code>operators</code> and <code>support</code>.
              Whoever runs the game can put it there; then sign in again.</p>`}
    </main>
    ${there && html`<${Drawer} />`}
    <${Announcer} />
  `;
}

/** By the id of a player or of a heist: whichever there is. */
function Search({ may }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const find = async (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (!id || busy) return;
    setBusy(true);
    setProblem("");
    try {
      for (const [screen, path] of [["player", "players"], ["heist", "heists"]]) {
        if (await isThere(`/admin/${path}/${encodeURIComponent(id)}`)) {
          location.hash = `#/${screen}/${encodeURIComponent(id)}`;
          return;
        }
      }
      setProblem("No player and no heist has this id.");
    } catch (error) {
      if (error.kind !== "signedOut") setProblem(error.kind ? "There is no answer." : error.message);
    } finally {
      setBusy(false);
    }
  };
  return html`
    <h1>Search</h1>
    <form class="search card" role="search" onSubmit=${find}>
      <label>Id of a player or a heist
        <input name="id" required maxlength="128" autocapitalize="none" autocomplete="off" spellcheck=${false} /></label>
      <button class="main" disabled=${busy}>Search</button>
      ${problem && html`<${Note} kind="warn" role="alert">${problem}<//>`}
      <p class="soft">Only a login or an address? <code>./heist player alice</code> finds the id.</p>
      ${!may && html`<p class="soft">You can look at everything and change nothing.</p>`}
    </form>
  `;
}

async function isThere(path) {
  try {
    await call("GET", path);
    return true;
  } catch (error) {
    if (error instanceof Refused && [400, 404].includes(error.status)) return false;
    throw error;
  }
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${Operators} />`, page);
