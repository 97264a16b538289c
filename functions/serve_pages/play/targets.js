// Whom to rob, and how it went.
import { call } from "../common/api.js";
import { useStore } from "../common/store.js";
import {
  Countdown, count, Empty, Failed, Loading, Name, Note, number, Section, useLoaded, Waiting, When,
} from "../common/ui.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../common/vendor/htm-preact.js";
import { attempt, changes, forget, giveUp, isOpen, refresh, resume, rob } from "./heist.js";
import { hindrance } from "./home.js";

export function Targets({ me }) {
  const last = useStore(attempt);
  const targets = useLoaded(() => call("GET", "/targets?limit=12"), [useStore(changes)]);
  const [chosen, choose] = useState(null);
  const why = me.data && hindrance(me.data);
  const found = targets.data?.targets;
  return html`
    <${Section} id="targets" title="Targets" busy=${targets.busy}
      aside=${html`<button onClick=${targets.again} disabled=${targets.busy}>Look again</button>`}>
      ${last && html`<${Attempt} attempt=${last} />`}
      ${targets.error && html`<${Failed} error=${targets.error} again=${targets.again} />`}
      ${!found && targets.busy && html`<${Loading} what="players" />`}
      ${found?.length === 0 && html`
        <${Empty}>${why ?? "There is nobody whom you could rob at the moment. Look again later."}<//>
      `}
      ${found?.length > 0 && html`
        <ul class="rows">
          ${found.map((target) => html`
            <${Target} key=${target.userId} target=${target}
              chosen=${chosen === target.userId} choose=${choose} open=${isOpen()} />
          `)}
        </ul>
      `}
    <//>
  `;
}

function Target({ target, chosen, choose, open }) {
  const start = useRef(null);
  const confirm = useRef(null);
  const was = useRef(false);
  useLayoutEffect(() => {
    if (chosen) confirm.current?.focus();
    else if (was.current) start.current?.focus();
    was.current = chosen;
  }, [chosen]);
  const name = `target-${target.userId}`;
  const go = () => {
    was.current = false; // the focus goes to the outcome
    choose(null);
    rob(target);
  };
  return html`
    <li class="row" onKeyDown=${(event) => event.key === "Escape" && choose(null)}>
      <div class="grow" id=${name}>
        <${Name} of=${target.name} />
        ${target.reason === "REVENGE" && html`${" "}<span class="tag">Revenge</span>`}
        <div class="soft">${count(target.points, "point")}, would bring ${" "}
          <b class="good-text">${number(target.potentialSteal)}</b></div>
      </div>
      ${chosen
        ? html`
            <div class="ask" role="group" aria-label="Confirm the heist">
              <span>Spend a token?</span>
              <button class="main" ref=${confirm} aria-describedby=${name} onClick=${go}
                onKeyDown=${notHeld}>Confirm</button>
              <button onClick=${() => choose(null)}>Cancel</button>
            </div>
          `
        : html`
            <button ref=${start} class="main" aria-describedby=${name} disabled=${open}
              onClick=${() => choose(target.userId)}>Rob</button>
          `}
    </li>
  `;
}

/** The key that pressed "Rob" does not confirm while it is held down. */
const notHeld = (event) => event.repeat && event.preventDefault();

/** The attempt under way, or how the last one ended. */
function Attempt({ attempt: it }) {
  const box = useRef(null);
  useEffect(() => box.current?.focus(), [it.key]);
  return html`<div ref=${box} tabindex="-1" class="attempt">${state(it)}</div>`;
}

function state(it) {
  const who = html`<${Name} of=${it.name} />`;
  if (it.busy && it.wait)
    return html`
      <p>Robbing ${who} …</p>
      <${Waiting} wait=${it.wait} same />
      ${!it.doubtful && html`<button onClick=${giveUp}>Stop trying</button>`}
    `;
  if (it.busy)
    return html`<${Note}>${it.resumed ? "Going on with the heist on" : "Robbing"} ${who} …<//>`;
  if (it.unknown)
    return html`
      <${Note} kind="warn" role="alert">
        <p>It is not known yet whether the heist on ${who} happened.</p>
        <p>Trying again with the same key tells: it is done once, or not at all.</p>
        <button onClick=${resume}>Try again</button>
      <//>
    `;
  const close = html`<button onClick=${forget}>Close</button>`;
  if (it.done)
    return html`
      <${Note} kind="good">
        <p><b>${it.done.message}</b></p>
        <p>From ${who}. You have <b class="number">${number(it.done.attackerPointsAfter)}</b> points and
          ${" "}${count(it.done.tokensLeft, "token")} left.
          ${it.done.cooldownEndsAt && html` Your next heist: in
            ${" "}<${Countdown} until=${it.done.cooldownEndsAt} ended=${refresh} />.`}</p>
        ${close}
      <//>
    `;
  return html`<${Note} kind="bad" role="alert"><${Refusal} error=${it.refused} who=${who} />${close}<//>`;
}

const ENDS = ["cooldownEndsAt", "protectionEndsAt", "newcomerUntil", "pairEndsAt", "seasonEndsAt"];

function Refusal({ error, who }) {
  const { code, details = {} } = error.data;
  const end = ENDS.map((name) => details[name]).find(Boolean);
  return html`
    ${code === "TARGET_PROTECTED" && html`<p><b>Somebody else was a moment faster with ${who}.</b></p>`}
    <p>${error.message}.${end && html`${" "}That is <${Countdown} until=${end} />, until <${When} at=${end} />.`}</p>
    <p>Nothing was moved, and your token is still yours.</p>
  `;
}
