// Owns asking for a new password. It learns, and tells, nothing about whether somebody has the address.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ActionError } from "../client/src/index.ts";
import { failure, requestReset } from "./access.ts";
import { Card, Problem } from "./Card.tsx";
import { hashOf } from "./route.ts";
import { texts } from "./texts.ts";

export function ForgotPage(): JSX.Element {
  const { title, hint, request, requesting, doneTitle, done } = texts.forgot;
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [sentTo, setSentTo] = useState<string | null>(null);
  const send = async (address: string) => {
    setBusy(true);
    setProblem(null);
    try {
      await requestReset(address);
      setSentTo(address);
    } catch (error) {
      setProblem(problemOf(error));
    } finally {
      setBusy(false);
    }
  };
  if (sentTo !== null) {
    return (
      <Card title={doneTitle}>
        <p role="status">{done(sentTo)}</p>
        <BackToLogin />
      </Card>
    );
  }
  return (
    <Card title={title}>
      <p class="soft">{hint}</p>
      <Problem text={problem} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const { email } = event.currentTarget.elements as unknown as Record<string, HTMLInputElement>;
          void send(email!.value.trim());
        }}
      >
        <label>
          {texts.email}
          <input name="email" type="email" autocomplete="username" required />
        </label>
        <button type="submit" class="lv-button primary" disabled={isBusy}>
          {isBusy ? requesting : request}
        </button>
      </form>
      <BackToLogin />
    </Card>
  );
}

function BackToLogin(): JSX.Element {
  return <a href={hashOf({ page: "home" })}>{texts.forgot.back}</a>;
}

function problemOf(error: unknown): string {
  const known = error instanceof ActionError ? texts.forgot.errors[error.type] : undefined;
  if (known !== undefined) return known;
  const { title, text } = failure(error);
  return `${title}. ${text}`;
}
