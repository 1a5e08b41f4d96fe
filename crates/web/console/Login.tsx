// Owns logging in with e-mail address and password.
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { logIn, state } from "./model.ts";
import { Logo } from "./Logo.tsx";
import { hashOf } from "./route.ts";
import { texts } from "./texts.ts";

/** `onBack` leads back to where logging in is but one of the choices. */
export function Login({ onBack }: { onBack?: () => void }): JSX.Element {
  const { status, errorType } = state.value;
  const first = useRef<HTMLInputElement>(null);
  // The attribute `autofocus` is heeded once per document, and this may be the second form in it.
  useLayoutEffect(() => first.current?.focus(), []);
  const isBusy = status === "connecting";
  return (
    <main class="login">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const { email, password } = event.currentTarget.elements as unknown as Record<string, HTMLInputElement>;
          logIn(email!.value.trim(), password!.value);
        }}
      >
        <Logo size={44} />
        <h1>{texts.loginTitle}</h1>
        <div role="alert">
          {status === "refused" && errorType && (
            <p class="lv-notice error">{texts.loginErrors[errorType] ?? texts.loginFailed}</p>
          )}
        </div>
        <label>
          {texts.email}
          <input ref={first} name="email" type="email" autocomplete="username" required />
        </label>
        <label>
          {texts.password}
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <button type="submit" class="lv-button primary" disabled={isBusy}>
          {isBusy ? texts.loggingIn : texts.logIn}
        </button>
        {onBack && (
          <button type="button" class="lv-button" onClick={onBack}>
            {texts.backToInvitation}
          </button>
        )}
        <a href={hashOf({ page: "forgot" })}>{texts.forgot.link}</a>
      </form>
    </main>
  );
}
