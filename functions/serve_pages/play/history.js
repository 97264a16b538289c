// What the player did to others, and others to the player.
import { call } from "../common/api.js";
import { useStore } from "../common/store.js";
import { count, Empty, Failed, Loading, More, Name, number, Section, usePages, When } from "../common/ui.js";
import { html, useState } from "../common/vendor/htm-preact.js";
import { changes } from "./heist.js";

export function History() {
  const [role, choose] = useState("all");
  const heists = usePages(
    (cursor) => call("GET", `/heists?role=${role}&limit=10${cursor}`), "heists",
    [role, useStore(changes)],
  );
  const filter = html`
    <label class="inline">Show
      <select value=${role} onChange=${(event) => choose(event.target.value)}>
        <option value="all">all heists</option>
        <option value="attacker">my own</option>
        <option value="victim">against me</option>
      </select>
    </label>
  `;
  const entries = heists.data?.heists;
  return html`
    <${Section} id="history" title="History" busy=${heists.busy} aside=${filter}>
      ${heists.error && html`<${Failed} error=${heists.error} again=${heists.again} />`}
      ${!entries && heists.busy && html`<${Loading} what="heists" />`}
      ${entries?.length === 0 && html`<${Empty}>No heists this season.<//>`}
      ${entries?.length > 0 && html`
        <ul class="rows">${entries.map((entry) => html`<${Entry} key=${entry.heistId} entry=${entry} />`)}</ul>
      `}
      <${More} of=${heists} />
    <//>
  `;
}

function Entry({ entry }) {
  const own = entry.role === "attacker";
  const other = html`<${Name} of=${entry.otherName} or=${own ? "a player" : "Somebody"} />`;
  return html`
    <li class="row">
      <div class="grow">
        ${own ? html`You robbed ${other}` : html`${other} robbed you`}
        ${entry.status === "REVERSED" && html`${" "}<span class="tag">taken back</span>`}
        <div class="soft"><${When} at=${entry.createdAt} />
          ${entry.reversedAt && html`, taken back <${When} at=${entry.reversedAt} />: ${signed(entry.pointsReturned)}`}
        </div>
      </div>
      <div class="amount">
        <b class="number ${entry.points < 0 ? "bad-text" : "good-text"}">${signed(entry.points)}</b>
        <div class="soft">${count(entry.pointsAfter, "point")} then</div>
      </div>
    </li>
  `;
}

const signed = (points) => (points < 0 ? `−${number(-points)}` : `+${number(points)}`);
