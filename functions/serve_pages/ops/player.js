// All about a player on one screen: state, what may be done, and the timeline.
import { Name, Note, Section, count, number } from "../common/ui.js";
import { html, useState } from "../common/vendor/htm-preact.js";
import { Change } from "./change.js";
import { Action, At, Facts, HeistLink, PlayerLink, Shown, usePages } from "./parts.js";

export function Player({ id, may }) {
  const path = `/admin/players/${encodeURIComponent(id)}`;
  const timeline = usePages(path, "timeline");
  const [asked, ask] = useState("");
  const [note, setNote] = useState("");
  const changed = (words) => (answer) => {
    ask("");
    setNote(answer.changed ? words(answer) : "It was so already.");
    timeline.again();
  };
  const forms = (player) => ({
    block: html`<${Change} key="block" title=${player.blocked ? "Unblock this player" : "Block this player"}
      path=${`${path}/${player.blocked ? "unblock" : "block"}`} cancel=${() => ask("")}
      done=${changed((answer) => (answer.blocked ? "The player is blocked." : "The player takes part again."))} />`,
    grant: html`<${Grant} path=${path} cancel=${() => ask("")}
      done=${changed((answer) => `Granted: ${count(answer.after.tokens, "token")} now.`)} />`,
  });
  return html`
    <${Shown} of=${timeline} what="the player" title="Player" draw=${({ player }) => html`
      <h1><${Name} of=${player.name} or="Player without a name" />
        ${player.blocked && html` <span class="tag bad-text">blocked</span>`}
        ${player.erasedAt && html` <span class="tag bad-text">erased</span>`}</h1>
      ${note && html`<${Note} kind="good">${note}<//>`}
      <div class="grid">
        <div class="column">
          <${State} of=${player} />
          ${may && !player.erasedAt && html`
            <p class="buttons">
              <button onClick=${() => ask("block")}>${player.blocked ? "Unblock" : "Block"}</button>
              <button onClick=${() => ask("grant")}>Grant tokens</button>
            </p>
          `}
          ${asked && forms(player)[asked]}
        </div>
        <${Section} id="timeline" title="Timeline" busy=${timeline.busy}>
          <ol class="timeline">
            ${timeline.entries.map((entry, at) => html`
              <li key=${at} class=${entry.kind}>
                <p class="when"><${At} at=${entry.at} /> <span class="tag">${KINDS[entry.kind].word}</span></p>
                <div>${KINDS[entry.kind].draw(entry)}</div>
              </li>
            `)}
          </ol>
          ${timeline.trouble}${timeline.older}
        <//>
      </div>
    `} />
  `;
}

const State = ({ of: player }) => html`
  <${Section} id="state" title="State">
    <${Facts} of=${[
      ["Id", html`<code>${player.userId}</code>`],
      ["Mail", player.email ? html`<bdi>${player.email}</bdi>${player.emailOptOut ? " (opted out)" : ""}` : "none"],
      ["No mail", player.suppressed && html`since <${At} at=${player.suppressed.at} />: ${player.suppressed.reason.toLowerCase()}`],
      ["Language", player.locale],
      ["Tokens", `${number(player.tokens)} (${number(player.totalEarned)} earned, ${number(player.totalSpent)} spent, ${number(player.tokensGranted)} granted)`],
      ["Points", html`${Object.entries(player.points).map(([season, points]) => html`<span class="season" key=${season}>${season}: ${number(points)}</span>`)}${Object.keys(player.points).length ? "" : "none"}`],
      ["Robbed", Object.entries(player.losses).map(([season, lost]) => `${season}: ${count(lost.robberies, "time")}, ${count(lost.points, "point")}`).join("; ") || "never"],
      ["Last heist", html`<${At} at=${player.lastHeistAt} />`],
      ["Last robbed", html`<${At} at=${player.lastRobbedAt} />`],
      ["First seen", html`<${At} at=${player.firstSeenAt} />`],
      ["Blocked", player.blockedAt && html`<${At} at=${player.blockedAt} />`],
      ["Erased", player.erasedAt && html`<${At} at=${player.erasedAt} />`],
      ["Chosen", [player.passive && "passive", player.hidden && "hidden", ...Object.entries(player.emailChoices).map(([kind, how]) => `mail ${kind}: ${how}`)].filter(Boolean).join(", ") || "nothing"],
      ["Brought by", player.broughtBy && html`<${PlayerLink} id=${player.broughtBy} />`],
    ]} />
  <//>
`;

function Grant({ path, done, cancel }) {
  const [delta, setDelta] = useState(1);
  return html`
    <${Change} title="Grant tokens" path=${`${path}/tokens`} body=${() => ({ delta })} done=${done} cancel=${cancel}>
      <label>How many
        <select value=${delta} onChange=${(event) => setDelta(Number(event.target.value))}>
          ${[1, 2, 3, 4, 5].map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
        </select></label>
    <//>
  `;
}

const signed = (points) => html`<b class="number ${points < 0 ? "bad-text" : "good-text"}">${points > 0 ? "+" : ""}${number(points)}</b>`;

const KINDS = {
  ledger: {
    word: "ledger",
    draw: (one) => html`${signed(one.points)} ${one.pointEventType} <span class="soft">(${one.season})</span>
      ${one.heistId ? html` <${HeistLink} id=${one.heistId}>heist<//>` : one.eventId && html` <bdi class="soft">${one.eventId}</bdi>`}`,
  },
  heist: {
    word: "heist",
    draw: (one) => html`
      <${HeistLink} id=${one.heistId}>${one.status === "FAILED" ? "Tried to rob" : one.role === "attacker" ? "Robbed" : "Was robbed by"}<//>
      ${" "}<${PlayerLink} id=${one.otherUserId} name=${one.otherName} />
      ${one.status === "FAILED" ? html`: <b class="bad-text">${one.code}</b>` : html`: ${signed(one.points)}`}
      ${one.status === "REVERSED" && html` <span class="tag">reversed</span>`}
    `,
  },
  mail: {
    word: "mail",
    draw: (one) => html`${one.type}: <b class=${one.state === "FAILED" || one.state === "PARKED" ? "bad-text" : null}>${one.state}</b>
      ${one.attempts > 1 && html` after ${count(one.attempts, "attempt")}`}`,
  },
  inbox: {
    word: "inbox",
    draw: (one) => html`<bdi>${one.message}</bdi> <span class="soft">${one.read ? "read" : "unread"}</span>`,
  },
  award: {
    word: "referral",
    draw: (one) =>
      one.role === "referrer"
        ? html`Brought <${PlayerLink} id=${one.referredUserId} name=${one.referredUserName} />: ${one.held ? "the token is held" : "+1 token"}`
        : html`Was brought by <${PlayerLink} id=${one.referrerUserId} />`,
  },
  grant: { word: "grant", draw: (one) => html`<b class="good-text">+${count(one.tokens, "token")}</b> by an operator` },
  action: { word: "operator", draw: (one) => html`<${Action} of=${one} />` },
};
