// A change: the reason, what it would change, and only then the change itself, once.
import { call } from "../common/api.js";
import { Note, Waiting, say } from "../common/ui.js";
import { html, useEffect, useRef, useState } from "../common/vendor/htm-preact.js";
import { Difference } from "./parts.js";

const NO_ANSWER = "There is no answer, so it may have been done. Confirm again: the key is the same, so it is done once.";

/**
 * A form for one change. `path` and `method` are the route's, `body()` what it takes beside reason and
 * dryRun, or null when something is missing; `retype` is the id that has to be typed again; `done` is
 * called with the answer. Each dry run that is confirmed has one Idempotency-Key, whatever is pressed.
 */
export function Change({ title, method = "POST", path, body = () => ({}), retype, children, done, cancel }) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [planned, setPlanned] = useState(null);
  const [problem, setProblem] = useState("");
  const [wait, setWait] = useState(null);
  const busy = useRef(false);
  const [, draw] = useState(0);
  const panel = useRef();
  useEffect(() => panel.current?.focus(), []);

  const run = async (act) => {
    if (busy.current) return;
    busy.current = true;
    draw((count) => count + 1);
    setProblem("");
    try {
      await act();
    } catch (error) {
      if (error.kind === "signedOut") return;
      if (error.status === 403) setProblem("You may look at this, and not change it.");
      else if (error.kind) setProblem(NO_ANSWER);
      else if (error.status) {
        setProblem(error.message);
        setPlanned(null);
      } else throw error;
    } finally {
      busy.current = false;
      setWait(null);
      draw((count) => count + 1);
    }
  };
  const look = (event) => {
    event.preventDefault();
    const asked = body();
    if (asked === null) return setProblem("There is nothing to change yet.");
    run(async () => {
      const sent = { ...asked, reason: reason.trim() };
      const would = await call(method, path, { body: { ...sent, dryRun: true } });
      setPlanned({ sent, would, key: crypto.randomUUID() });
      say(would.changed ? "This would change. Confirm or cancel." : "It is so already.");
    });
  };
  const confirm = () =>
    run(async () => {
      const { sent, key } = planned;
      const answer = await call(method, path, { body: sent, key, onWait: setWait });
      say("Done.");
      done(answer);
    });

  return html`
    <section class="card change" aria-labelledby="change-heading" aria-busy=${busy.current ? "true" : "false"}>
      <h2 id="change-heading" tabindex="-1" ref=${panel}>${title}</h2>
      <form onSubmit=${look}>
        <fieldset class="plain" disabled=${planned !== null}>
          <legend class="visually-hidden">${title}</legend>
          ${children}
          <label>Reason, for the log
            <input value=${reason} onInput=${(event) => setReason(event.target.value)}
              required minlength="3" maxlength="500" autocomplete="off" /></label>
        </fieldset>
        ${!planned && html`
          <p class="buttons">
            <button class="main" disabled=${busy.current}>Show what would change</button>
            <button type="button" onClick=${cancel}>Cancel</button>
          </p>
        `}
      </form>
      ${planned && html`
        <div class="planned">
          ${planned.would.changed
            ? html`<p>This would change:</p><${Difference} before=${planned.would.before} after=${planned.would.after} />`
            : html`<${Note}>It is so already: nothing would change.<//>`}
          ${planned.would.changed && retype && html`
            <label>Type the id again: <code>${retype}</code>
              <input value=${typed} onInput=${(event) => setTyped(event.target.value)}
                autocomplete="off" autocapitalize="none" spellcheck=${false} /></label>
          `}
          <p class="buttons">
            ${planned.would.changed && html`
              <button class="main" onClick=${confirm} disabled=${busy.current || (retype && typed.trim() !== retype)}>Confirm</button>
            `}
            <button onClick=${() => (setPlanned(null), setTyped(""), setProblem(""))} disabled=${busy.current}>Back</button>
            <button onClick=${cancel} disabled=${busy.current}>Cancel</button>
          </p>
        </div>
      `}
      ${wait && html`<${Waiting} wait=${wait} same />`}
      ${problem && html`<${Note} kind="bad" role="alert">${problem}<//>`}
    </section>
  `;
}
