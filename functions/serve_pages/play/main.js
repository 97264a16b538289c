// /play: the game, as a person plays it.
import { call } from "../common/api.js";
import * as account from "../common/session.js";
import { useStore } from "../common/store.js";
import { Announcer, Banner, Drawer, Name, SignIn, useLoaded } from "../common/ui.js";
import { html, render, useEffect, useRef } from "../common/vendor/htm-preact.js";
import { Leaderboard } from "./board.js";
import { attempt, changes, refresh, resume } from "./heist.js";
import { History } from "./history.js";
import { Home } from "./home.js";
import { Bell, Inbox, unread, useBadge } from "./inbox.js";
import { Preferences } from "./preferences.js";
import { Targets } from "./targets.js";

const PLACES = [
  ["home", "Home"], ["targets", "Targets"], ["history", "History"],
  ["leaderboard", "Leaderboard"],
  ["preferences", "Preferences"],
];

function Game() {
  return useStore(account.session) ? html`<${Player} />` : html`<${SignIn} lead="Heist" />`;
}

function Player() {
  const turn = useStore(changes);
  const me = useLoaded(() => call("GET", "/me"), [turn]);
  useBadge(turn);
  useArrivals(turn);
  useEffect(() => {
    if (me.data && unread.get() === null) unread.set(me.data.unreadCount);
  }, [me.data]);
  useEffect(() => {
    resume();
    return () => { // somebody else may sign in
      attempt.set(null);
      unread.set(null);
    };
  }, []);
  return html`
    <a class="skip" href="#home-heading">To the game</a>
    <header class="top">
      <span class="brand">Heist</span>
      <nav aria-label="Sections">
        ${PLACES.map(([id, title]) => html`<a key=${id} href="#${id}">${title}</a>`)}
        <${Bell} />
      </nav>
      <span class="who">
        <${Name} of=${me.data?.name} or="you" />
        <button onClick=${() => account.signOut()}>Sign out</button>
      </span>
    </header>
    <main>
      <h1 class="visually-hidden">Heist</h1>
      <${Banner} />
      <div class="grid">
        <div class="column"><${Home} me=${me} /><${Targets} me=${me} /></div>
        <div class="column"><${Inbox} /><${History} /></div>
        <div class="column"><${Leaderboard} me=${me.data} /><${Preferences} /></div>
      </div>
    </main>
    <${Drawer} />
    <${Announcer} />
  `;
}

/** What comes into the inbox has changed points, too; not so what the last heist here brought. */
function useArrivals(turn) {
  const number = useStore(unread);
  const seen = useRef({ number, turn });
  useEffect(() => {
    const { number: before, turn: then } = seen.current;
    seen.current = { number, turn };
    if (before !== null && number > before && turn === then) refresh();
  }, [number]);
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${Game} />`, page);
