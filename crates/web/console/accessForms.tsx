// Owns what can be done with each kind of access key: one form or choice per kind.
import type { JSX } from "preact";
import { ActionError } from "../client/src/index.ts";
import { texts as shared } from "../ui/texts.ts";
import { passwordProblem, resetPassword, verifyIdentity, type AccessFound, type Explanation } from "./access.ts";
import { currentUser, isMemberOf, joinByKey, openSession, state } from "./model.ts";
import { texts } from "./texts.ts";

/** What was done, and the channel that it led into, if any. */
export interface Done extends Explanation {
  channelId?: string;
}

export interface FormProps {
  found: AccessFound;
  accessKey: string;
  isBusy: boolean;
  /** Does what was chosen; the page shows what comes of it. */
  run: (work: () => Promise<Done>) => void;
  onProblem: (problem: string) => void;
}

export function VerifyForm({ accessKey, isBusy, run }: FormProps): JSX.Element {
  const { accept, reject, done } = texts.access;
  const answer = (isMine: boolean) =>
    run(async () => {
      await verifyIdentity(accessKey, isMine);
      return isMine ? done.accepted : done.rejected;
    });
  return (
    <div class="choices">
      <button type="button" class="lv-button primary" disabled={isBusy} onClick={() => answer(true)}>
        {accept}
      </button>
      <button type="button" class="lv-button" disabled={isBusy} onClick={() => answer(false)}>
        {reject}
      </button>
    </div>
  );
}

export function ResetForm({ found, accessKey, isBusy, run, onProblem }: FormProps): JSX.Element {
  const { address, newPassword, repeatPassword, setPassword, working, done } = texts.access;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const { first, second } = event.currentTarget.elements as unknown as Record<string, HTMLInputElement>;
        const password = first!.value;
        const problem = passwordProblem(password, second!.value);
        if (problem !== null) {
          onProblem(problem);
          second!.focus();
          return;
        }
        run(async () => {
          await resetPassword(accessKey, password);
          return done.reset;
        });
      }}
    >
      <label>
        {address}
        {/* Tells a password manager which account the new password is for. */}
        <input type="email" autocomplete="username" value={found.identity_name} readOnly />
      </label>
      <label>
        {newPassword}
        <input name="first" type="password" autocomplete="new-password" required />
      </label>
      <label>
        {repeatPassword}
        <input name="second" type="password" autocomplete="new-password" required />
      </label>
      <button type="submit" class="lv-button primary" disabled={isBusy}>
        {isBusy ? working : setPassword}
      </button>
    </form>
  );
}

export function JoinForm(props: FormProps & { onLogin: () => void }): JSX.Element {
  const { isBusy, run, onLogin } = props;
  const { name, joinAs, joinAsYou, joinAsGuest, haveAccount, working } = texts.access;
  const { status } = state.value;
  const user = currentUser.value;
  if (user) {
    const called = user.attrs.realname ?? user.attrs.name;
    return (
      <div class="choices">
        <button type="button" class="lv-button primary" disabled={isBusy} onClick={() => run(() => join(props))}>
          {called === undefined ? joinAsYou : joinAs(called)}
        </button>
        <p class="soft" role="status">
          {status === "reconnecting" && shared.reconnecting}
        </p>
      </div>
    );
  }
  // Somebody was logged in before, and it is about to turn out whether they still are.
  if (status === "connecting" && !isBusy) return <p role="status">{texts.connecting}</p>;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const { guest } = event.currentTarget.elements as unknown as Record<string, HTMLInputElement>;
        const user_attrs = { name: guest!.value.trim() };
        run(async () => {
          await openSession({ user_attrs });
          return join(props);
        });
      }}
    >
      <label>
        {name}
        <input name="guest" autocomplete="name" maxLength={100} pattern=".*\S.*" required />
      </label>
      <button type="submit" class="lv-button primary" disabled={isBusy}>
        {isBusy ? working : joinAsGuest}
      </button>
      <button type="button" class="lv-button" disabled={isBusy} onClick={onLogin}>
        {haveAccount}
      </button>
    </form>
  );
}

export function SessionForm({ found, accessKey, isBusy, run }: FormProps): JSX.Element {
  const { leavesSession, openSession: logIn, enter, working, done } = texts.access;
  const user = currentUser.value;
  const open = async (): Promise<Done> => {
    await openSession({ access_key: accessKey });
    return { ...done.opened, channelId: found.channel_id };
  };
  return (
    <div class="choices">
      {user && <p class="soft">{leavesSession(user.attrs.realname ?? user.attrs.name ?? "")}</p>}
      <button type="button" class="lv-button primary" disabled={isBusy} onClick={() => run(open)}>
        {isBusy ? working : found.access_type === "audience" ? enter : logIn}
      </button>
    </div>
  );
}

async function join({ found, accessKey }: FormProps): Promise<Done> {
  const { done, aChannel } = texts.access;
  const name = found.channel_attrs?.name ?? aChannel;
  try {
    return { ...done.joined(name), channelId: await joinByKey(accessKey) };
  } catch (error) {
    const channelId = found.channel_id;
    const isRefused = error instanceof ActionError && error.type === "permission_denied";
    // Who is in it already needs no key: that stays good for somebody else.
    if (isRefused && channelId !== undefined && (await isMemberOf(channelId))) return { ...done.inside(name), channelId };
    throw error;
  }
}
