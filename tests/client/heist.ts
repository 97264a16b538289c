/** A client of Heist Core: sign-in, retries, idempotency. See docs/clients.md for the rules it follows. */
import type { components } from "./heist-api.js";

type Schemas = components["schemas"];
export type Tokens = Schemas["TokenBalance"];
export type Verdict = Schemas["Eligible"] | Schemas["Ineligible"];
export type Outcome = Schemas["HeistSucceeded"] | Schemas["HeistRefused"];
export type Notification = Schemas["Notification"];
export type Page = Schemas["NotificationPage"];

const LONGEST_PAUSE_MS = 8_000;
const ATTEMPTS = 6;
const SAFE_TO_REPEAT = new Set([429, 500, 502, 503, 504]);

/** An answer that is neither a success nor a refused heist: a defect of the caller or the server. */
export class HeistError extends Error {
  constructor(readonly status: number, readonly body: unknown) {
    super(`${status} ${JSON.stringify(body)}`);
  }
}

/** Signs in to the stack's user pool and keeps the access token fresh. */
export class Session {
  private access = "";
  private refreshToken = "";

  /** `cognito` is https://cognito-idp.REGION.amazonaws.com, or `Endpoint` of the local stack. */
  constructor(private readonly cognito: string, private readonly clientId: string) {}

  async signIn(username: string, password: string): Promise<void> {
    await this.ask("USER_PASSWORD_AUTH", { USERNAME: username, PASSWORD: password });
  }

  async refresh(): Promise<void> {
    await this.ask("REFRESH_TOKEN_AUTH", { REFRESH_TOKEN: this.refreshToken });
  }

  get token(): string {
    return this.access;
  }

  private async ask(flow: string, parameters: Record<string, string>): Promise<void> {
    const answer = await fetch(`${this.cognito}/`, {
      method: "POST",
      headers: {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
      },
      body: JSON.stringify({
        AuthFlow: flow,
        ClientId: this.clientId,
        AuthParameters: parameters,
      }),
    });
    if (!answer.ok) throw new HeistError(answer.status, await answer.json());
    const issued = (await answer.json()) as {
      AuthenticationResult: { AccessToken: string; RefreshToken?: string };
    };
    this.access = issued.AuthenticationResult.AccessToken;
    this.refreshToken = issued.AuthenticationResult.RefreshToken ?? this.refreshToken;
  }
}

export class HeistClient {
  private aheadMs = 0;

  /** `apiUrl` is the stack's output ApiUrl. */
  constructor(private readonly apiUrl: string, private readonly session: Session) {}

  /** The server's time: count down to `cooldownEndsAt` with this, not with the device's clock. */
  now(): Date {
    return new Date(Date.now() + this.aheadMs);
  }

  tokens(): Promise<Tokens> {
    return this.call("GET", "/tokens");
  }

  canRob(target: string): Promise<Verdict> {
    return this.call("GET", `/can-rob/${encodeURIComponent(target)}`);
  }

  /** A refusal is an outcome, not an exception. Keep `key` until there is an outcome. */
  execute(target: string, key: string): Promise<Outcome> {
    return this.call("POST", "/execute", { targetUserId: target }, { "Idempotency-Key": key });
  }

  notifications(options: { unreadOnly?: boolean; limit?: number; cursor?: string } = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options)) query.set(name, String(value));
    return this.call<Page>("GET", `/notifications?${query}`);
  }

  /** Marks this notification and everything older: what arrived since stays unread. */
  markReadUpTo(newestShown: Notification): Promise<Schemas["MarkReadResult"]> {
    return this.call("POST", "/notifications/read", { upTo: newestShown.id });
  }

  private async call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> {
    let renewed = false;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.send(method, path, body, headers);
      if (answer !== null) {
        const said: unknown = await answer.json().catch(() => null);
        if (answer.ok || isRefusal(answer.status, said)) return said as T;
        if (answer.status === 401 && !renewed) {
          renewed = true;
          await this.session.refresh();
          continue;
        }
        if (!SAFE_TO_REPEAT.has(answer.status) || attempt === ATTEMPTS)
          throw new HeistError(answer.status, said);
      } else if (attempt === ATTEMPTS) throw new HeistError(0, "no answer");
      await pause(attempt, Number(answer?.headers.get("Retry-After") ?? 0));
    }
  }

  /** null: no answer; the request may have been carried out all the same. */
  private async send(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Response | null> {
    try {
      const answer = await fetch(`${this.apiUrl}/api/heist${path}`, {
        method,
        headers: { Authorization: `Bearer ${this.session.token}`, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(35_000),
      });
      const date = Date.parse(answer.headers.get("Date") ?? "");
      if (!Number.isNaN(date)) this.aheadMs = date - Date.now();
      return answer;
    } catch {
      return null;
    }
  }
}

function isRefusal(status: number, body: unknown): boolean {
  return status === 400 && (body as { error?: string } | null)?.error === "ELIGIBILITY_FAILED";
}

/** At least what the server asks for, else 0.5 s, 1 s, 2 s …; jittered, so that clients spread. */
function pause(attempt: number, retryAfterSeconds: number): Promise<void> {
  const backOff = Math.min(250 * 2 ** attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
  return new Promise((done) => setTimeout(done, Math.max(retryAfterSeconds * 1000, backOff)));
}
