// Calls of the API: retries, the server's clock, and what the drawer shows.
// The rules are those of docs/clients.md, "Repeat what failed".
import { renew, session, signOut } from "./session.js";
import { store } from "./store.js";

const API = new URL("api/heist/", document.baseURI);
const REPEATABLE = new Set([429, 500, 502, 503, 504]);
const ATTEMPTS = 6;
const LONGEST_PAUSE_MS = 8_000;
const SHOWN = 8;

/** What the drawer shows, newest first: {id, method, path, url, headers, body, status, answer, ms}. */
export const exchanges = store([]);

/** What calls wait for, oldest first: {reason, until}; see `call`. */
export const waits = store([]);

let aheadMs = 0;
let sentSoFar = 0;

/** The server's time in milliseconds: a device's clock may be wrong. */
export const now = () => Date.now() + aheadMs;

/** No outcome: `kind` is "signedOut", "stopped", "noAnswer", "limited" or "unavailable". */
export class NoOutcome extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/** An answer that says no: 4xx. `data` is its body. */
export class Refused extends Error {
  constructor(status, data) {
    super(data?.message ?? data?.errors?.[0]?.message ?? `The server answered ${status}.`);
    this.status = status;
    this.data = data ?? {};
  }
}

/**
 * Calls `path` below /api/heist and gives the body of a 2xx; throws Refused or NoOutcome.
 *
 * It repeats what may be repeated, with the same `key`: after what the server asks for, else with
 * a growing pause. While it waits, `onWait` is given {reason, until}, and null when it goes on;
 * `reason` is "offline", "noAnswer", "limited" or "unavailable". Without `onWait` the page's own
 * banner tells it. `signal` ends the waiting. A `poll` is tried once, and not shown in the drawer.
 */
export async function call(method, path, { body, key, signal, onWait, poll } = {}) {
  const caller = session.get()?.id;
  let renewed = false;
  for (let attempt = 1; ; attempt++) {
    if (session.get()?.id !== caller) throw new NoOutcome("signedOut"); // not under another's name
    const answer = await send(method, path, { body, key, poll });
    if (answer?.status === 401) {
      if (!renewed && (renewed = await renewOrWait())) continue;
      signOut("You were signed out: your token has run out. Please sign in again.");
      throw new NoOutcome("signedOut");
    }
    if (answer && answer.status < 300) return answer.data;
    if (answer && !REPEATABLE.has(answer.status)) throw new Refused(answer.status, answer.data);
    const reason = reasonOf(answer);
    if (poll) throw new NoOutcome(reason);
    if (attempt === ATTEMPTS && reason !== "offline") throw new NoOutcome(reason);
    if (reason === "offline") attempt--; // it waits for the network, not for the server
    await pause(attempt, answer?.retryAfter ?? 0, reason, { signal, onWait });
  }
}

async function renewOrWait() {
  try {
    return await renew();
  } catch {
    throw new NoOutcome("noAnswer");
  }
}

function reasonOf(answer) {
  if (!answer) return navigator.onLine ? "noAnswer" : "offline";
  return answer.status === 429 ? "limited" : "unavailable";
}

/** null: no answer; the request may have been carried out all the same. */
async function send(method, path, { body, key, poll }) {
  const headers = { Authorization: `Bearer ${session.get()?.token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const url = new URL(path.replace(/^\//, ""), API);
  const sent = { id: ++sentSoFar, method, path, url: url.href, headers, body: body && JSON.stringify(body) };
  const started = performance.now();
  const tell = (status, answer) => {
    if (poll) return;
    const ms = Math.round(performance.now() - started);
    exchanges.set([{ ...sent, status, answer, ms }, ...exchanges.get()].slice(0, SHOWN));
  };
  try {
    const answer = await fetch(url, {
      method,
      headers,
      body: sent.body,
      signal: AbortSignal.timeout(35_000),
    });
    const text = await answer.text();
    const date = Date.parse(answer.headers.get("Date") ?? "");
    // The header has no milliseconds: within a second the clock stays as it is.
    if (Math.abs(date - now()) > 1_500) aheadMs = date - Date.now();
    tell(answer.status, text);
    const retryAfter = Number(answer.headers.get("Retry-After") ?? 0);
    return { status: answer.status, data: parsed(text), retryAfter };
  } catch {
    tell(0, "");
    return null;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** At least what the server asks for, else 0.5 s, 1 s, 2 s …; jittered, so that clients spread. */
async function pause(attempt, retryAfterSeconds, reason, { signal, onWait }) {
  const backOff = Math.min(250 * 2 ** attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
  const ms = Math.max(retryAfterSeconds * 1000, backOff);
  const wait = { reason, until: now() + ms };
  const tell = onWait ?? ((waiting) => tellBanner(wait, waiting));
  tell(wait);
  try {
    await new Promise((done, stop) => {
      if (signal?.aborted) stop(new NoOutcome("stopped"));
      signal?.addEventListener("abort", () => stop(new NoOutcome("stopped")), { once: true });
      window.addEventListener("online", done, { once: true });
      setTimeout(done, ms);
    });
  } finally {
    tell(null);
  }
}

function tellBanner(wait, waiting) {
  const others = waits.get().filter((each) => each !== wait);
  waits.set(waiting ? [...others, wait] : others);
}
