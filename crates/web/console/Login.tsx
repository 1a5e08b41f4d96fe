// Owns logging in with e-mail address and password.
import type { JSX } from "preact";
import { logIn, state } from "./model.ts";
import { Logo } from "./Logo.tsx";
import { texts } from "./texts.ts";

export function Login(): JSX.Element {
  const { status, errorType } = state.value;
  const isBusy = status === "connecting";
  return (
    <main class="login">
      <form
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
          <input name="email" type="email" autocomplete="username" required autofocus />
        </label>
        <label>
          {texts.password}
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <button type="submit" class="lv-button primary" disabled={isBusy}>
          {isBusy ? texts.loggingIn : texts.logIn}
        </button>
      </form>
    </main>
  );
}
