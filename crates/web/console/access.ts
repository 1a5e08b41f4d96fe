// Owns what an access key means to whoever opens its link: what it is for, and what is wrong with one that fails.
import { ActionError, callOnce, callUrl, type EventOf } from "../client/src/index.ts";
import { texts } from "./texts.ts";

export type AccessFound = EventOf<"access_found">;

/** What can be done with a key. */
export type Purpose = "verify" | "reset" | "join" | "session";

export interface Explanation {
  title: string;
  text: string;
}

const PURPOSES = new Map<string, Purpose>([
  ["identity_verify", "verify"],
  ["identity_auth_reset", "reset"],
  ["channel", "join"],
  ["session", "session"],
  ["audience", "session"],
]);
/** Errors after which the key opens nothing, however often it is tried. */
const FINAL = new Set(["access_denied", "access_already_spent", "access_expired", "unknown_kind"]);

/** Asks the server what a key is for, and refuses what this page can't do anything with. */
export async function describeAccess(key: string): Promise<AccessFound> {
  const found = await callOnce(callUrl(location.origin), "describe_access", { access_key: key });
  if (found.event !== "access_found" || !PURPOSES.has(found.access_type)) throw new ActionError("unknown_kind");
  return found;
}

export async function verifyIdentity(key: string, accept: boolean): Promise<void> {
  await callOnce(callUrl(location.origin), "verify_identity", { access_key: key, identity_accept: accept });
}

export async function resetPassword(key: string, password: string): Promise<void> {
  await callOnce(callUrl(location.origin), "reset_identity_auth", { access_key: key, identity_auth_new: password });
}

export async function requestReset(address: string): Promise<void> {
  await callOnce(callUrl(location.origin), "request_identity_auth_reset_access", {
    identity_type: "email",
    identity_name: address,
  });
}

export function purposeOf({ access_type }: AccessFound): Purpose {
  return PURPOSES.get(access_type)!;
}

/** What a key is for, in words for whoever got it. */
export function explain(found: AccessFound): Explanation {
  const { kinds, somebody, aChannel } = texts.access;
  const user = found.user_attrs?.realname ?? found.user_attrs?.name;
  const realm = found.realm_attrs?.name;
  switch (found.access_type) {
    case "identity_verify":
      return kinds.verify(found.identity_name ?? "", user);
    case "identity_auth_reset":
      return kinds.reset(found.identity_name ?? "");
    case "channel":
      return kinds.join(user ?? somebody, found.channel_attrs?.name ?? aChannel, realm, found.realm_member === true);
    case "audience":
      return kinds.audience(found.queue_attrs?.name, realm, user);
    default:
      return kinds.session(user);
  }
}

/** Why a password that was typed twice can't be taken, or null. */
export function passwordProblem(first: string, second: string): string | null {
  return first === second ? null : texts.access.passwordsDiffer;
}

/** What went wrong, the server's own reason included if it gave one. */
export function failure(error: unknown): Explanation & { isFinal: boolean } {
  const { failures, failed, unreachable, serverSays } = texts.access;
  if (!(error instanceof ActionError)) return { ...unreachable, isFinal: false };
  const { title, text } = failures[error.type] ?? failed;
  const reason = error.reason === undefined ? "" : ` ${serverSays(error.reason)}`;
  return { title, text: text + reason, isFinal: FINAL.has(error.type) };
}
