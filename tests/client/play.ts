/** Plays one heist: sign-in, tokens, can-rob, execute and its repeat, both inboxes, mark as read. */
import { HeistClient, Session, type Notification } from "./heist.js";

declare const process: { env: Record<string, string | undefined> };

function given(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function check(what: string, holds: boolean): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

async function signedIn(username: string): Promise<HeistClient> {
  const session = new Session(given("ENDPOINT"), given("CLIENT_ID"));
  await session.signIn(username, given("PASSWORD"));
  await session.refresh();
  return new HeistClient(given("API_URL"), session);
}

/** Every type of notification narrows to its own metadata: this compiles only if it does. */
function told(notification: Notification): string {
  switch (notification.type) {
    case "HEIST_SUCCESS":
      return `+${notification.metadata.pointsStolen} from ${notification.metadata.victimId}`;
    case "HEIST_VICTIM":
      return `-${notification.metadata.pointsLost} to ${notification.metadata.attackerId}`;
    case "HEIST_REVERSED":
      return "tokenRefunded" in notification.metadata
        ? `back to ${notification.metadata.victimId}`
        : `back from ${notification.metadata.attackerId}`;
    case "TOKEN_EARNED":
      return `${notification.metadata.referredUserName ?? "Someone"} joined`;
  }
}

async function newest(client: HeistClient, type: Notification["type"]): Promise<Notification> {
  for (let look = 0; look < 120; look++) {
    const found = (await client.notifications({ limit: 1 })).notifications[0];
    if (found?.type === type) return found;
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`no ${type} in the inbox`);
}

const attacker = await signedIn(given("ATTACKER"));
const victim = await signedIn(given("VICTIM"));
const target = given("VICTIM_ID");

const before = await attacker.tokens();
const verdict = await attacker.canRob(target);
check("the victim can be robbed", verdict.eligible);

const key = crypto.randomUUID();
const outcome = await attacker.execute(target, key);
check("the heist succeeded", outcome.success);
if (outcome.success) {
  check("one token was spent", outcome.tokensLeft === before.balance - 1);
  check("can-rob promised that", outcome.pointsStolen === verdict.potentialSteal);
  check("the cooldown lies ahead", new Date(outcome.cooldownEndsAt) > attacker.now());
}
const repeat = await attacker.execute(target, key);
check("the repeat is the same answer", JSON.stringify(repeat) === JSON.stringify(outcome));

const refused = await attacker.execute(target, crypto.randomUUID());
check("another heist at once is refused", !refused.success);
if (!refused.success && refused.code === "COOLDOWN_ACTIVE")
  console.log(`refused until ${refused.details.cooldownEndsAt}`);

console.log(told(await newest(attacker, "HEIST_SUCCESS")));
const notice = await newest(victim, "HEIST_VICTIM");
console.log(told(notice));
const marked = await victim.markReadUpTo(notice);
check("it is read", marked.updated > 0 && marked.unreadCount === 0);
console.log("played");
