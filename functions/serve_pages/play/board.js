// The season's leaderboard, with the player's own place always in sight.
import { call, Refused } from "../common/api.js";
import { useStore } from "../common/store.js";
import { count, Empty, Failed, Loading, More, Name, number, Section, useLoaded, usePages, When } from "../common/ui.js";
import { html } from "../common/vendor/htm-preact.js";
import { changes } from "./heist.js";

const noBoard = (error) => {
  if (error instanceof Refused && error.status === 404) return { entries: [], me: null };
  throw error;
};

export function Leaderboard({ me }) {
  const needs = [useStore(changes)];
  const board = usePages((cursor) => call("GET", `/leaderboard?limit=10${cursor}`).catch(noBoard), "entries", needs);
  const around = useLoaded(() => call("GET", "/leaderboard/around?span=2").catch(noBoard), needs);
  const entries = board.data?.entries;
  const places = new Set(entries?.map((entry) => entry.userId));
  const near = around.data?.entries.filter((entry) => !places.has(entry.userId)) ?? [];
  const error = board.error ?? around.error;
  return html`
    <${Section} id="leaderboard" title="Leaderboard" busy=${board.busy}>
      ${error && html`<${Failed} error=${error} again=${board.again} />`}
      ${!entries && board.busy && html`<${Loading} what="the leaderboard" />`}
      ${entries?.length === 0 && html`<${Empty}>Nobody is on the board yet.<//>`}
      ${entries?.length > 0 && html`
        <table class="board">
          <thead><tr><th scope="col">Rank</th><th scope="col">Player</th><th scope="col">Points</th></tr></thead>
          <tbody>${entries.map((entry) => html`<${Place} key=${entry.userId} entry=${entry} me=${me} />`)}</tbody>
          ${near.length > 0 && html`
            <tbody class="near">${near.map((entry) => html`<${Place} key=${entry.userId} entry=${entry} me=${me} />`)}</tbody>
          `}
        </table>
        <p class="soft">${board.data.asOf && html`${count(board.data.players, "player")}, as of <${When} at=${board.data.asOf} />.`}
          ${around.data && !around.data.me && " You are not on the board: you have no points yet, or are hidden."}</p>
      `}
      <${More} of=${board} />
    <//>
  `;
}

function Place({ entry, me }) {
  const own = entry.userId !== null && entry.userId === me?.userId;
  return html`
    <tr class=${own ? "own" : ""} aria-current=${own ? "true" : undefined}>
      <td class="number">${number(entry.rank)}</td>
      <td><${Name} of=${entry.name} />${own && html`${" "}<span class="tag">you</span>`}</td>
      <td class="number">${number(entry.points)}</td>
    </tr>
  `;
}
