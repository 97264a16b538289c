// The inbox and its bell.
import { call } from "../common/api.js";
import { store, useStore } from "../common/store.js";
import { Empty, Failed, Loading, More, Note, number, say, Section, usePages, When } from "../common/ui.js";
import { html, useEffect, useState } from "../common/vendor/htm-preact.js";

const POLL_MS = 60_000;
const LONGEST_MS = 480_000;

/** How many are unread, exactly; null before it is known. */
export const unread = store(null);

/** Asks for the badge's number every minute, only while the page is seen; less often if it fails. */
export function useBadge(soon) {
  useEffect(() => {
    let timer = null;
    let pause = POLL_MS;
    let over = false;
    const look = async () => {
      clearTimeout(timer);
      if (document.hidden || over) return;
      try {
        const answer = await call("GET", "/notifications/count", { poll: true });
        if (over) return;
        unread.set(answer.unreadCount);
        pause = POLL_MS;
      } catch (error) {
        if (error.kind === undefined && error.status === undefined) throw error;
        pause = Math.min(pause * 2, LONGEST_MS);
      }
      if (!over) timer = setTimeout(look, pause);
    };
    timer = setTimeout(look, soon ? 2_000 : POLL_MS); // a notice comes about a second after its heist
    document.addEventListener("visibilitychange", look);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [soon]);
}

export function Bell() {
  const number = useStore(unread);
  return html`
    <a href="#inbox" class="bell">
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path fill="currentColor"
        d="M12 2a7 7 0 0 0-7 7v5l-2 3v1h18v-1l-2-3V9a7 7 0 0 0-7-7zm0 20a3 3 0 0 0 3-3H9a3 3 0 0 0 3 3z" /></svg>
      Inbox
      ${number > 0 && html`<b class="badge">${number}<span class="visually-hidden"> unread</span></b>`}
    </a>
  `;
}

export function Inbox() {
  const known = useStore(unread);
  const inbox = usePages(async (cursor) => {
    const page = await call("GET", `/notifications?limit=20${cursor}`);
    unread.set(page.unreadCount);
    return page;
  }, "notifications", []);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const items = inbox.data?.notifications;

  useEffect(() => {
    if (inbox.data && known !== null && known !== inbox.data.unreadCount) inbox.again();
  }, [known]);

  /** Marks what `body` says, and those of the list that `covers` says it covers. */
  const mark = async (body, covers) => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      const { updated, unreadCount } = await call("POST", "/notifications/read", { body });
      const marked = items.map((item, at) => (covers(item, at) ? { ...item, read: true } : item));
      inbox.set({ ...inbox.data, notifications: marked, unreadCount });
      unread.set(unreadCount);
      say(`${number(updated)} marked as read.`);
    } catch (error) {
      if (error.kind === undefined && error.status === undefined) throw error;
      setProblem(error);
    }
    setBusy(false);
  };

  const all = html`
    <button disabled=${busy || !known} onClick=${() => mark({}, () => true)}>Mark all as read</button>
  `;
  return html`
    <${Section} id="inbox" title="Inbox" busy=${inbox.busy} aside=${all}>
      ${problem && html`<${Failed} error=${problem} />`}
      ${inbox.error && html`<${Failed} error=${inbox.error} again=${inbox.again} />`}
      ${!items && inbox.busy && html`<${Loading} what="your inbox" />`}
      ${items?.length === 0 && html`<${Empty}>Your inbox is empty.<//>`}
      ${items?.length > 0 && html`
        <p class="soft">${known ? `${number(known)} unread` : "Everything is read."}</p>
        <ul class="rows">
          ${items.map((item, at) => html`
            <li key=${item.id} class="row ${item.read ? "" : "unread"}">
              <div class="grow">
                <p id="text-${item.id}" dir="auto">${!item.read && html`<span class="visually-hidden">Unread: </span>`}${item.message}</p>
                <div class="soft"><${When} at=${item.createdAt} /></div>
                ${!item.read && html`
                  <div class="actions">
                    <button disabled=${busy} aria-describedby="text-${item.id}"
                      onClick=${() => mark({ notificationIds: [item.id] }, (each) => each.id === item.id)}>
                      Mark as read</button>
                    <button disabled=${busy} aria-describedby="text-${item.id}"
                      onClick=${() => mark({ upTo: item.id }, (_, place) => place >= at)}>
                      Read up to here</button>
                  </div>
                `}
              </div>
            </li>
          `)}
        </ul>
      `}
      <${More} of=${inbox} />
    <//>
  `;
}
