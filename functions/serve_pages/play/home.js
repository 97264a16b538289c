// Points, rank, tokens, and what counts down.
import { Countdown, count, Failed, Loading, Note, number, Section, When } from "../common/ui.js";
import { html } from "../common/vendor/htm-preact.js";
import { refresh } from "./heist.js";

export function Home({ me }) {
  const { data } = me;
  return html`
    <${Section} id="home" title="Home" busy=${me.busy}>
      ${me.error && html`<${Failed} error=${me.error} again=${me.again} />`}
      ${!data && me.busy && html`<${Loading} what="your points" />`}
      ${data && html`<${Standing} me=${data} />`}
    <//>
  `;
}

const Standing = ({ me }) => html`
  <div class="figures">
    <p class="figure"><b class="number">${number(me.points)}</b> ${me.points === 1 ? "point" : "points"}</p>
    <p class="figure">
      <b class="number">${number(me.tokens)}</b> ${me.tokens === 1 ? "token" : "tokens"}
    </p>
    <p class="figure">
      ${me.rank
        ? html`<b class="number">${me.rank.exact ? "" : "≈ "}${number(me.rank.value)}</b>
            rank of ${number(me.rank.players)}`
        : html`<b aria-hidden="true">–</b> no rank`}
    </p>
  </div>
  <${Circumstances} me=${me} />
  <dl class="facts">
    <dt>Next heist</dt>
    <dd>${me.cooldownEndsAt
      ? html`in <${Countdown} until=${me.cooldownEndsAt} ended=${refresh} />`
      : me.tokens ? (hindrance(me) ? "not at the moment" : "now") : "when you have a token"}</dd>
    <dt>Protection</dt>
    <dd>${me.protectionEndsAt
      ? html`nobody can rob you for <${Countdown} until=${me.protectionEndsAt} ended=${refresh} />`
      : "none"}</dd>
    <dt>Season ${me.season.id}</dt>
    <dd>ends in <${Countdown} until=${me.season.endsAt} ended=${refresh} /></dd>
    <dt>Lost this season</dt>
    <dd>${me.losses.robberies
      ? `${count(me.losses.points, "point")} in ${count(me.losses.robberies, "robbery", "robberies")}`
      : "nothing"}</dd>
  </dl>
`;

/** What keeps the player from the game, if anything does. */
const Circumstances = ({ me }) => html`
  ${!me.enabled && html`<${Note}>Heists are switched off at the moment. Your tokens stay yours.<//>`}
  ${me.blocked && html`<${Note} kind="bad">You cannot take part in heists. Please ask the operators.<//>`}
  ${me.passive && html`<${Note}>You are in passive mode: you neither rob nor are robbed.<//>`}
  ${me.newcomerUntil && html`
    <${Note}>You are new here: for <${Countdown} until=${me.newcomerUntil} ended=${refresh} /> you
      neither rob nor are robbed.<//>
  `}
  ${me.points === 0 && me.tokens === 0 && html`
    <${Note}>Welcome! Points come as you use the app. Bring a friend, and you get a token.<//>
  `}
`;

/** Why the player can rob nobody at all, or null. */
export function hindrance(me) {
  if (!me.enabled) return "Heists are switched off at the moment.";
  if (me.blocked) return "You cannot take part in heists.";
  if (me.passive) return "You are in passive mode. Switch it off in Preferences to rob again.";
  if (!me.tokens) return "You need a heist token. Bring a friend, and you get one.";
  if (me.cooldownEndsAt)
    return html`You can perform another heist in
      ${" "}<${Countdown} until=${me.cooldownEndsAt} ended=${refresh} />, on <${When} at=${me.cooldownEndsAt} />.`;
  if (me.newcomerUntil)
    return html`You can perform your first heist in
      ${" "}<${Countdown} until=${me.newcomerUntil} ended=${refresh} />.`;
  return null;
}
