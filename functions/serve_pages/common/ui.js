// What both pages are made of. Names of players are text of others: always inside <Name>.
import { exchanges, now, waits } from "./api.js";
import * as account from "./session.js";
import { store, useStore } from "./store.js";
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";

// --- Texts ---------------------------------------------------------------------------------------

const DIGITS = new Intl.NumberFormat("en-GB");
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const number = (value) => DIGITS.format(value);

/** "1 point", "3 points" */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** A moment of the server in the reader's time zone. */
export const When = ({ at }) => html`<time datetime=${at}>${MOMENT.format(new Date(at))}</time>`;

/** A name that somebody chose: it neither turns the text around it nor breaks the layout. */
export const Name = ({ of, or = "a player" }) =>
  of ? html`<bdi class="name">${of}</bdi>` : html`<span class="name unknown">${or}</span>`;

/** "2 d 3 h", "3 h 5 min", "4 min 10 s", "9 s": what is left, rounded up to seconds. */
export function left(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value);
  if (first === -1) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(" ");
}

/** Counts down to a moment of the server; calls `ended` two seconds after it, as clocks differ. */
export function Countdown({ until, ended }) {
  const end = typeof until === "number" ? until : Date.parse(until);
  const [, tick] = useState(0);
  useEffect(() => {
    let over = false;
    const timer = setInterval(() => {
      tick((ticks) => ticks + 1);
      if (over || now() < end + 2000) return;
      over = true;
      ended?.();
    }, 1000);
    return () => clearInterval(timer);
  }, [end]);
  return html`<span role="timer" class="countdown">${left(end - now())}</span>`;
}

// --- Blocks --------------------------------------------------------------------------------------

/** A landmark with its heading. */
export const Section = ({ id, title, aside, busy, children }) => html`
  <section id=${id} aria-labelledby="${id}-heading" aria-busy=${busy ? "true" : "false"} class="card">
    <header><h2 id="${id}-heading" tabindex="-1">${title}</h2>${aside}</header>
    ${children}
  </section>
`;

/** A message in a box: `kind` is "info", "good", "warn" or "bad". */
export const Note = ({ kind = "info", role = "status", children }) =>
  html`<div class="note ${kind}" role=${role}>${children}</div>`;

export const Loading = ({ what }) => html`<p class="loading" role="status">Loading ${what} …</p>`;

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

const NO_OUTCOME = {
  noAnswer: "There is no answer from the server.",
  offline: "You are offline.",
  limited: "Too many requests.",
  unavailable: "The server cannot answer at the moment.",
};

/** Why something could not be shown, and a way to ask again. */
export function Failed({ error, again }) {
  if (error.kind === "signedOut" || error.kind === "stopped") return null;
  return html`
    <${Note} kind="bad" role="alert">
      <p>${NO_OUTCOME[error.kind] ?? error.message}</p>
      ${again && html`<button onClick=${again}>Try again</button>`}
    <//>
  `;
}

/**
 * What `load` gives, as {data, error, busy, again, set}; it is called again when an element of
 * `needs` changes. While it is, the old data stay.
 */
export function useLoaded(load, needs) {
  const [state, setState] = useState({ busy: true });
  const run = useRef(0);
  const again = async () => {
    const mine = ++run.current;
    setState((old) => ({ ...old, busy: true }));
    const next = await load().then(
      (data) => ({ data }),
      (error) => ({ error: shown(error) }),
    );
    if (mine === run.current) setState((old) => ({ data: old.data, ...next, busy: false }));
  };
  useEffect(() => {
    again();
    return () => run.current++;
  }, needs);
  return { ...state, again, set: (data) => setState({ data, busy: false }) };
}

/** As useLoaded, page by page: `load` is given what to add to its query; `list` names the items. */
export function usePages(load, list, needs) {
  const pages = useLoaded(() => load(""), needs);
  const [next, setNext] = useState({});
  const more = async () => {
    if (next.busy) return;
    setNext({ busy: true });
    try {
      const page = await load(`&cursor=${encodeURIComponent(pages.data.nextCursor)}`);
      pages.set({ ...page, [list]: [...pages.data[list], ...page[list]] });
      setNext({});
    } catch (error) {
      setNext({ error: shown(error) });
      if (error.status === 400) pages.again(); // the cursor's time is over
    }
  };
  return { ...pages, more, moreBusy: next.busy, moreError: next.error };
}

/** The way to the next page, where there is one. */
export function More({ of: pages }) {
  if (!pages.data?.nextCursor) return null;
  return html`
    ${pages.moreError && html`<${Failed} error=${pages.moreError} />`}
    <button onClick=${pages.more} disabled=${pages.moreBusy}>${pages.moreBusy ? "Loading …" : "More"}</button>
  `;
}

/** Lets errors of the program itself reach the console. */
function shown(error) {
  if (error.kind === undefined && error.status === undefined) throw error;
  return error;
}

// --- What the whole page says --------------------------------------------------------------------

const WAITING = {
  offline: "You are offline. Trying again as soon as there is a network.",
  noAnswer: "No answer from the server. Trying again in ",
  unavailable: "The server cannot answer at the moment. Trying again in ",
  limited: "Too many requests. Trying again in ",
};

/** What a call waits for; `same` adds that it is the same attempt. */
export const Waiting = ({ wait, same }) => html`
  <${Note} kind="warn">
    ${WAITING[wait.reason]}
    ${wait.reason !== "offline" && html`<${Countdown} until=${wait.until} />.`}
    ${same && html`<span>${" "}With the same key: it is done once, or not at all.</span>`}
  <//>
`;

/** The banner of calls that wait, and of a network that is gone. */
export function Banner() {
  const [wait] = useStore(waits);
  const online = useOnline();
  if (wait) return html`<${Waiting} wait=${wait} />`;
  return online ? null : html`<${Note} kind="warn">You are offline.<//>`;
}

function useOnline() {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const look = () => setOnline(navigator.onLine);
    window.addEventListener("online", look);
    window.addEventListener("offline", look);
    return () => {
      window.removeEventListener("online", look);
      window.removeEventListener("offline", look);
    };
  }, []);
  return online;
}

/** What was said last, for those who do not see it appear. */
const said = store("");
export const say = (text) => said.set(text);
export const Announcer = () =>
  html`<p class="visually-hidden" role="status" aria-live="polite">${useStore(said)}</p>`;

// --- Sign in -------------------------------------------------------------------------------------

/** The form for users who are not signed in; `lead` says what for. */
export function SignIn({ lead }) {
  const why = useStore(account.notice);
  const settings = useLoadedPlainly(account.config);
  const demo = useLoadedPlainly(account.demoPlayers);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const [challenge, setChallenge] = useState(null);

  const attempt = async (act) => {
    if (busy) return;
    setBusy(true);
    setProblem("");
    try {
      setChallenge(await act());
    } catch (error) {
      const refused = error instanceof account.SignInRefused;
      setProblem(refused ? error.message : "There is no answer from the sign-in. Please try again.");
    }
    setBusy(false);
  };
  const submit = (act) => (event) => {
    event.preventDefault();
    attempt(() => act(Object.fromEntries(new FormData(event.target))));
  };

  const form = () => {
    if (settings.error)
      return html`<${Failed} error=${{ kind: "noAnswer" }} again=${settings.again} />`;
    if (!settings.data) return html`<${Loading} what="the sign-in" />`;
    if (!settings.data.signIn)
      return html`
        <form onSubmit=${submit(async ({ token }) => account.useToken(token.trim()) ?? null)}>
          <p>This stack takes tokens of its own issuer. Get one there and put it in here.</p>
          <label>Token<textarea name="token" rows="4" required spellcheck=${false}></textarea></label>
          <button class="main">Sign in</button>
        </form>
      `;
    if (challenge)
      return html`
        <form onSubmit=${submit(({ password }) => account.choosePassword(challenge, password))}>
          <p>This is your first time here: please choose a password of your own.</p>
          <label>New password
            <input name="password" type="password" autocomplete="new-password" required /></label>
          <button class="main" disabled=${busy}>Sign in</button>
        </form>
      `;
    return html`
      ${demo.data && html`
        <fieldset disabled=${busy}>
          <legend>Sign in as</legend>
          <div class="people">
            ${demo.data.names.map((name) => html`
              <button key=${name} onClick=${() => attempt(() => account.signIn(name, demo.data.password))}>
                ${name}
              </button>
            `)}
          </div>
        </fieldset>
      `}
      <form onSubmit=${submit(({ userName, password }) => account.signIn(userName, password))}>
        <label>User name
          <input name="userName" autocomplete="username" autocapitalize="none" required /></label>
        <label>Password
          <input name="password" type="password" autocomplete="current-password" required /></label>
        <button class="main" disabled=${busy}>Sign in</button>
      </form>
    `;
  };

  return html`
    <main class="sign-in card" aria-labelledby="sign-in-heading">
      <h1 id="sign-in-heading">${lead}</h1>
      ${why && html`<${Note} kind="warn">${why}<//>`}
      ${problem && html`<${Note} kind="bad" role="alert">${problem}<//>`}
      ${form()}
    </main>
  `;
}

/** As useLoaded, for what is no call of the API: every error is "no answer". */
function useLoadedPlainly(load) {
  return useLoaded(() => load().catch(() => Promise.reject({ kind: "noAnswer" })), []);
}

// --- For developers of other clients -------------------------------------------------------------

const MASKED = "YOUR-TOKEN";
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as a line for a shell; the token only if it is asked for. */
export function curl({ method, url, headers, body }, withToken) {
  const parts = ["curl -i"];
  if (method !== "GET") parts.push(`-X ${method}`);
  for (const [name, value] of Object.entries(headers)) {
    const masked = name === "Authorization" && !withToken;
    parts.push(`-H ${quoted(`${name}: ${masked ? `Bearer ${MASKED}` : value}`)}`);
  }
  if (body !== undefined) parts.push(`-d ${quoted(body)}`);
  return [...parts, quoted(url)].join(" \\\n  ");
}

/** The last request and its reply, or one of those before. */
export function Drawer() {
  const last = useStore(exchanges);
  const [picked, pick] = useState(0);
  const shown = last.find((each) => each.id === picked) ?? last[0];
  const copy = (withToken) => async () => {
    await navigator.clipboard.writeText(curl(shown, withToken));
    say("Copied.");
  };
  return html`
    <aside class="drawer" aria-label="For developers">
      <details>
        <summary>Requests and replies</summary>
        ${!shown && html`<${Empty}>Nothing was asked yet.<//>`}
        ${shown && html`
          <label>Request
            <select value=${shown.id} onChange=${(event) => pick(Number(event.target.value))}>
              ${last.map((each) => html`
                <option key=${each.id} value=${each.id} selected=${each.id === shown.id}>
                  ${`${each.method} ${each.path} · ${each.status || "no answer"} · ${each.ms} ms`}
                </option>
              `)}
            </select>
          </label>
          <pre tabindex="0" role="region" aria-label="Request">${curl(shown, false)}</pre>
          <p class="people">
            <button onClick=${copy(false)}>Copy</button>
            <button onClick=${copy(true)}>Copy with my token</button>
          </p>
          <pre tabindex="0" role="region" aria-label="Reply">${pretty(shown.answer)}</pre>
        `}
      </details>
    </aside>
  `;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text || "(empty)";
  }
}
