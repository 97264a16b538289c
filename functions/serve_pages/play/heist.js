// One press is one heist: its key is kept before anything is sent, until there is an outcome.
import { call, NoOutcome, Refused } from "../common/api.js";
import { claims } from "../common/session.js";
import { store } from "../common/store.js";

/**
 * The attempt that is under way or was the last, or null:
 * {key, userId, name, busy, wait, doubtful, resumed} and then `done`, `refused` or `unknown`.
 * `doubtful` says that a request was sent and not answered: it may have been carried out.
 */
export const attempt = store(null);

/** Goes up when what is on the screen is no longer true: each section loads again. */
export const changes = store(0);

let soon = null;

/** Loads everything again; what asks for it at the same time asks for it once. */
export function refresh() {
  soon ??= setTimeout(() => {
    soon = null;
    changes.set(changes.get() + 1);
  }, 200);
}

const kept = () => `heist.pending.${claims().sub ?? ""}`;
let waiting = new AbortController();

/** Robs a player; nothing while another attempt has no outcome. */
export function rob({ userId, name }) {
  if (isOpen()) return;
  carryOut({ key: crypto.randomUUID(), userId, name });
}

/** Goes on with an attempt that a reload, or a lost answer, left without an outcome. */
export function resume() {
  const pending = JSON.parse(sessionStorage.getItem(kept()) ?? "null");
  if (pending && !attempt.get()?.busy) carryOut({ ...pending, resumed: true });
}

/** Whether there is an attempt whose outcome is not known. */
export function isOpen() {
  const last = attempt.get();
  return Boolean(last && (last.busy || last.unknown));
}

/** Gives up an attempt that the server has only put off. */
export function giveUp() {
  waiting.abort();
}

export function forget() {
  if (!isOpen()) attempt.set(null);
}

async function carryOut(pending) {
  waiting = new AbortController();
  let doubtful = Boolean(pending.resumed);
  const { key, userId, name } = pending;
  const mine = kept();
  const tell = (state) => {
    if (mine === kept()) attempt.set(state); // nobody else has signed in meanwhile
  };
  const settle = (outcome) => {
    sessionStorage.removeItem(mine);
    tell(outcome);
    refresh();
  };
  sessionStorage.setItem(mine, JSON.stringify({ key, userId, name }));
  tell({ ...pending, busy: true, doubtful });
  try {
    const done = await call("POST", "/execute", {
      body: { targetUserId: userId },
      key,
      signal: waiting.signal,
      onWait(wait) {
        doubtful ||= Boolean(wait) && wait.reason !== "limited";
        tell({ ...pending, busy: true, wait, doubtful });
      },
    });
    settle({ ...pending, done });
  } catch (error) {
    if (error instanceof Refused) settle({ ...pending, refused: error });
    else if (error instanceof NoOutcome && error.kind === "stopped") settle(null);
    else if (error instanceof NoOutcome) tell({ ...pending, doubtful, unknown: error.kind });
    else throw error;
  }
}
