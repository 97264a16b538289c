// One heist with everything that followed, and its reversal.
import { call } from "../common/api.js";
import { Name, Note, Section, count, number, useLoaded } from "../common/ui.js";
import { html, useState } from "../common/vendor/htm-preact.js";
import { Change } from "./change.js";
import { Action, At, Facts, PlayerLink, Shown, Table } from "./parts.js";

export function Heist({ id, may }) {
  const path = `/admin/heists/${encodeURIComponent(id)}`;
  const found = useLoaded(() => call("GET", path), [path]);
  const [asked, ask] = useState(false);
  const [note, setNote] = useState("");
  const done = (answer) => {
    ask(false);
    setNote(`Reversed: ${count(answer.pointsReturned, "point")} went back.`);
    found.again();
  };
  return html`
    <${Shown} of=${found} what="the heist" title="Heist" draw=${({ heist, reversal, ledger, notifications, actions, owed }) => html`
      <h1>Heist <span class="tag">${heist.status.toLowerCase()}</span></h1>
      ${note && html`<${Note} kind="good">${note}<//>`}
      <div class="grid">
        <div class="column">
          <${Section} id="facts" title="What happened">
            <${Facts} of=${[
              ["Id", html`<code>${heist.heistId}</code>`],
              ["When", html`<${At} at=${heist.createdAt} />`],
              ["Attacker", html`<${PlayerLink} id=${heist.attackerId} name=${heist.attackerName} />${move(heist, "attacker")}`],
              ["Victim", html`<${PlayerLink} id=${heist.victimId} name=${heist.victimName} />${move(heist, "victim")}`],
              ["Stolen", heist.pointsStolen && count(heist.pointsStolen, "point")],
              ["Season", heist.season],
              ["Refused", heist.code && html`<b class="bad-text">${heist.code}</b> ${heist.message}`],
              ["Owed yet", owed.length ? owed.join(", ") : null],
              ["Reversed", reversal && html`<${At} at=${reversal.createdAt} />: ${count(reversal.pointsReturned, "point")} back${reversal.tokenRefunded ? ", with the token" : ""}`],
            ]} />
          <//>
          ${may && heist.status === "SUCCESS" && html`<p class="buttons"><button onClick=${() => ask(true)}>Reverse</button></p>`}
          ${asked && html`<${Reverse} path=${path} id=${heist.heistId} done=${done} cancel=${() => ask(false)} />`}
        </div>
        <div class="column">
          <${Section} id="ledger" title="Ledger">
            <${Table} caption="Entries of the ledger" rows=${ledger} empty="No points moved." columns=${[
              ["When", (one) => html`<${At} at=${one.occurredAt} />`],
              ["Player", (one) => html`<${PlayerLink} id=${one.userId} />`],
              ["What", (one) => one.pointEventType],
              ["Points", (one) => number(one.points), true],
            ]} />
          <//>
          <${Section} id="notices" title="Inbox and mails">
            <${Table} caption="Who was told" rows=${notifications} empty="Nobody was told." columns=${[
              ["Player", (one) => html`<${PlayerLink} id=${one.recipientId} />`],
              ["What", (one) => one.type],
              ["Inbox", (one) => (one.inbox ? (one.inbox.read ? "read" : "unread") : "none")],
              ["Mail", (one) => one.mail?.state ?? "none"],
            ]} />
          <//>
          <${Section} id="actions" title="Operators">
            ${actions.length ? actions.map((one) => html`<${Action} key=${one.id} of=${one} />`) : html`<p class="empty">No operator did anything about it.</p>`}
          <//>
        </div>
      </div>
    `} />
  `;
}

const move = (heist, side) =>
  heist.pointsStolen ? html` <span class="soft">${number(heist[`${side}PointsBefore`])} → ${number(heist[`${side}PointsAfter`])}</span>` : "";

function Reverse({ path, id, done, cancel }) {
  const [refundToken, setRefund] = useState(false);
  return html`
    <${Change} title="Reverse this heist" path=${`${path}/reverse`} retype=${id} body=${() => ({ refundToken })} done=${done} cancel=${cancel}>
      <label class="inline"><input type="checkbox" checked=${refundToken} onChange=${(event) => setRefund(event.target.checked)} />
        Give the token back, too</label>
    <//>
  `;
}
