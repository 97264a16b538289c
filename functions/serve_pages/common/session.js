// Who is signed in: the stack's Cognito pool, or a token of the team's own issuer.
// The tokens live as long as the tab. See docs/clients.md, "Sign in".
import { store } from "./store.js";

const KEPT = "heist.session";
const PAGE = location.pathname.split("/").pop(); // "play" or "ops"

/** {id, userName, token, refreshToken?}, or null; `id` stays while the token is renewed. */
export const session = store(JSON.parse(sessionStorage.getItem(KEPT) ?? "null"));
export const notice = store(""); // why there is nobody signed in, in words

let loaded = null;

/** What the stack says about itself: {stage, signIn: {url, clientId} or null}. */
export function config() {
  loaded ??= fetch(new URL(`${PAGE}/config.json`, document.baseURI))
    .then((answer) => {
      if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
      return answer.json();
    })
    .catch((error) => {
      loaded = null;
      throw error;
    });
  return loaded;
}

/** The players (on /ops, the operators) of `make run`: {names, password}; null elsewhere. */
export async function demoPlayers() {
  if ((await config()).stage !== "local") return null;
  const answer = await fetch(new URL("/_heist/players", location.origin)).catch(() => null);
  if (!answer?.ok) return null;
  const { names, operators, password } = await answer.json();
  return { names: PAGE === "ops" ? operators : names, password };
}

/** A refused sign-in; the message is for the person. */
export class SignInRefused extends Error {}

/** Signs in; the answer is null, or the challenge that `choosePassword` takes. */
export async function signIn(userName, password) {
  const answer = await cognito("InitiateAuth", {
    AuthFlow: "USER_PASSWORD_AUTH",
    AuthParameters: { USERNAME: userName, PASSWORD: password },
  });
  return accept(userName, answer);
}

/** Answers the challenge of an account whose first password somebody else chose. */
export async function choosePassword({ userName, token }, password) {
  const answer = await cognito("RespondToAuthChallenge", {
    ChallengeName: "NEW_PASSWORD_REQUIRED",
    Session: token,
    ChallengeResponses: { USERNAME: userName, NEW_PASSWORD: password },
  });
  return accept(userName, answer);
}

function accept(userName, { AuthenticationResult: issued, ChallengeName, Session }) {
  if (issued) {
    begin({ id: crypto.randomUUID(), userName, token: issued.AccessToken, refreshToken: issued.RefreshToken });
    return null;
  }
  if (ChallengeName === "NEW_PASSWORD_REQUIRED") return { userName, token: Session };
  throw new SignInRefused(`This account needs ${ChallengeName}, which this page cannot do.`);
}

/** Takes a token of the team's own issuer as it is. */
export function useToken(token) {
  begin({ id: crypto.randomUUID(), userName: "", token });
}

export function signOut(why = "") {
  sessionStorage.removeItem(KEPT);
  notice.set(why);
  session.set(null);
}

let renewing = null;

/** Takes a new token for one that has run out; false if that is not possible any more. */
export function renew() {
  renewing ??= renewNow().finally(() => (renewing = null));
  return renewing;
}

async function renewNow() {
  const before = session.get() ?? {};
  const { refreshToken } = before;
  if (!refreshToken) return false;
  try {
    const { AuthenticationResult: issued } = await cognito("InitiateAuth", {
      AuthFlow: "REFRESH_TOKEN_AUTH",
      AuthParameters: { REFRESH_TOKEN: refreshToken },
    });
    if (!issued || session.get()?.id !== before.id) return false;
    begin({ ...before, token: issued.AccessToken, refreshToken: issued.RefreshToken ?? refreshToken });
    return true;
  } catch (error) {
    if (error instanceof SignInRefused) return false;
    throw error;
  }
}

/** The claims of the present token, unverified: for what to show, never for what to allow. */
export function claims() {
  try {
    const payload = session.get().token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt())));
  } catch {
    return {};
  }
}

function begin(next) {
  sessionStorage.setItem(KEPT, JSON.stringify(next));
  notice.set("");
  session.set(next);
}

const WORDS = {
  NotAuthorizedException: "The user name or the password is wrong.",
  UserNotFoundException: "The user name or the password is wrong.",
  InvalidPasswordException: "The new password does not follow the rules of this pool.",
  PasswordResetRequiredException: "This password must be reset first: ask the operators.",
  TooManyRequestsException: "Too many attempts: please wait a moment.",
  LimitExceededException: "Too many attempts: please wait a moment.",
};

async function cognito(action, parameters) {
  const { signIn: pool } = await config();
  const answer = await fetch(new URL(pool.url, location.origin), {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
    },
    body: JSON.stringify({ ClientId: pool.clientId, ...parameters }),
    signal: AbortSignal.timeout(35_000),
  });
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const kind = String(said.__type ?? "").split("#").pop();
  if (answer.status < 500) throw new SignInRefused(WORDS[kind] ?? "This sign-in was refused.");
  throw new Error(`sign-in: ${answer.status}`);
}
