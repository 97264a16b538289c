// Mail, passive mode, and the name on the board.
import { call, Refused } from "../common/api.js";
import { Countdown, Failed, Loading, Note, say, Section, useLoaded, When } from "../common/ui.js";
import { html, useState } from "../common/vendor/htm-preact.js";
import { refresh } from "./heist.js";

const MAILS = [
  ["robbed", "When I am robbed"],
  ["success", "When a heist of mine succeeds"],
  ["reversed", "When a heist is taken back"],
  ["token", "When I get a token"],
];
const HOW = [["instant", "at once"], ["daily", "once a day"], ["off", "never"]];

export function Preferences() {
  const chosen = useLoaded(() => call("GET", "/preferences"), []);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const { data } = chosen;

  const save = async (change) => {
    setBusy(true);
    setProblem(null);
    chosen.set({ ...data, ...change, email: { ...data.email, ...change.email } });
    try {
      chosen.set(await call("PUT", "/preferences", { body: change }));
      say("Saved.");
      refresh();
    } catch (error) {
      if (error.kind === undefined && error.status === undefined) throw error;
      setProblem(error);
      chosen.set(data);
    }
    setBusy(false);
  };

  return html`
    <${Section} id="preferences" title="Preferences" busy=${chosen.busy || busy}>
      ${chosen.error && html`<${Failed} error=${chosen.error} again=${chosen.again} />`}
      ${!data && chosen.busy && html`<${Loading} what="your preferences" />`}
      ${problem && html`<${Problem} error=${problem} />`}
      ${data && html`
        <${Switch} id="passive" label="Passive mode" on=${data.passive} busy=${busy} set=${(passive) => save({ passive })}
          hint="You rob nobody, and nobody can rob you." />
        ${data.passiveLockedUntil && html`
          <p class="soft">Can be switched again in <${Countdown} until=${data.passiveLockedUntil} ended=${chosen.again} />.</p>
        `}
        <${Switch} id="hidden" label="Hide me" on=${data.hidden} busy=${busy} set=${(hidden) => save({ hidden })}
          hint="Your name is neither on the leaderboard nor among targets. It is no shield." />
        <fieldset>
          <legend>E-mail</legend>
          ${MAILS.map(([kind, label]) => html`
            <label key=${kind}>${label}
              <select disabled=${busy} value=${data.email[kind]}
                onChange=${(event) => save({ email: { [kind]: event.target.value } })}>
                ${HOW.map(([value, words]) => html`<option key=${value} value=${value} selected=${value === data.email[kind]}>${words}</option>`)}
              </select>
            </label>
          `)}
        </fieldset>
      `}
    <//>
  `;
}

const Switch = ({ id, label, on, busy, set, hint }) => html`
  <div class="switch">
    <label><input type="checkbox" role="switch" checked=${on} disabled=${busy} aria-describedby="${id}-hint"
      onChange=${(event) => set(event.target.checked)} />
      ${" "}${label}</label>
    <div class="soft" id="${id}-hint">${hint}</div>
  </div>
`;

function Problem({ error }) {
  const until = error instanceof Refused && error.data.details?.lockedUntil;
  if (!until) return html`<${Failed} error=${error} />`;
  return html`
    <${Note} kind="bad" role="alert">
      ${error.message}. That is in <${Countdown} until=${until} />, on <${When} at=${until} />.
    <//>
  `;
}
