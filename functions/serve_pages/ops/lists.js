// Dead letters, the last audit, and the log of operator actions.
import { call } from "../common/api.js";
import { Note, Section, count, left, number, useLoaded } from "../common/ui.js";
import { html } from "../common/vendor/htm-preact.js";
import { Action, At, Facts, Shown, Table, usePages } from "./parts.js";

const age = (seconds) => left(seconds * 1000);

export function Letters() {
  const found = useLoaded(() => call("GET", "/admin/dead-letters"), []);
  return html`
    <h1>Dead letters</h1>
    <${Shown} of=${found} what="the dead letters" draw=${({ waiting, inOtherHands, causes, letters }) => html`
      <${Note} kind=${waiting ? "warn" : "good"}>
        ${waiting ? `${count(waiting, "dead letter")} waiting.` : "Nothing waits."}
        ${inOtherHands > 0 && ` About ${number(inOtherHands)} more are being read by somebody else.`}
        ${waiting > 0 && html` <code>./heist redrive</code> redoes them; <code>./heist discard</code> ends those rightly refused.`}
      <//>
      <p><button onClick=${found.again} disabled=${found.busy}>Look again</button></p>
      <${Section} id="causes" title="Why" busy=${found.busy}>
        <${Table} caption="Dead letters by kind and cause" rows=${causes} empty="No dead letters." columns=${[
          ["Number", (one) => number(one.letters), true],
          ["Kind", (one) => one.kind],
          ["Cause", (one) => html`<bdi>${one.cause}</bdi>`],
          ["Oldest", (one) => age(one.oldestAgeSeconds)],
        ]} />
      <//>
      <${Section} id="letters" title="All dead letters">
        <${Table} caption="Dead letters, the oldest first" rows=${letters} empty="No dead letters." columns=${[
          ["Letter", (one) => html`<code>${one.letter.slice(0, 8)}</code>`],
          ["Age", (one) => age(one.ageSeconds)],
          ["What", (one) => html`<bdi>${one.source}</bdi> <bdi class="soft">${one.event}</bdi>`],
          ["Player", (one) => html`<bdi>${one.player || "–"}</bdi>`],
          ["Cause", (one) => html`<bdi>${one.cause}</bdi>`],
        ]} />
      <//>
    `} />
  `;
}

export function Audit() {
  const found = useLoaded(() => call("GET", "/admin/audit"), []);
  return html`
    <h1>Audit</h1>
    <${Shown} of=${found} what="the audit" draw=${(audit) =>
      audit === null
        ? html`<${Note}>There has been no nightly audit yet. It runs at 03:17 UTC; <code>./heist audit</code> runs it now.<//>`
        : html`
            <${Note} kind=${audit.violationCount ? "bad" : "good"}>
              ${audit.violationCount ? `${count(audit.violationCount, "violation")}: points, tokens, ledger or inboxes do not add up.` : "Everything adds up."}
            <//>
            <${Section} id="figures" title="The last night">
              <${Facts} of=${[
                ["When", html`<${At} at=${audit.at} />`],
                ["Items", number(audit.items)],
                ["Players", number(audit.players)],
                ["Heists", number(audit.heists)],
                ["Still owing", number(audit.owing)],
                ["Points earned", Object.entries(audit.pointsEarned).map(([season, points]) => `${season}: ${number(points)}`).join(", ") || "none"],
              ]} />
            <//>
            <${Section} id="violations" title="Violations">
              <${Table} caption="Violations" rows=${audit.violations} empty="None." columns=${[
                ["Of", (one) => html`<bdi>${one.subject}</bdi>`],
                ["What must hold", (one) => one.invariant],
                ["Figures", (one) => html`<bdi>${one.figures}</bdi>`],
              ]} />
            <//>
          `} />
  `;
}

export function Actions() {
  const log = usePages("/admin/actions", "actions");
  return html`
    <h1>Actions</h1>
    <${Shown} of=${log} what="the log" draw=${() => html`
      <${Section} id="log" title="The log, newest first" busy=${log.busy}>
        ${log.entries.length === 0 && html`<p class="empty">No operator has done anything yet.</p>`}
        <ol class="timeline">
          ${log.entries.map((entry) => html`
            <li key=${entry.id}><p class="when"><${At} at=${entry.at} /></p><div><${Action} of=${entry} /></div></li>
          `)}
        </ol>
        ${log.trouble}${log.older}
      <//>
    `} />
  `;
}
