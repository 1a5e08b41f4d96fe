// Owns the frame of what is shown outside of the console: one card in the middle, which says what it is about.
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Logo } from "./Logo.tsx";

export function Card({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  // The card's content was replaced, and with it what had the focus: who can't see that hears the new heading.
  // Not after the next paint: whoever is quick would be in the first field by then, and their keys would be lost.
  useLayoutEffect(() => heading.current?.focus(), [title]);
  return (
    <main class="login">
      <div class="card">
        <Logo size={44} />
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children}
      </div>
    </main>
  );
}

export function Problem({ text }: { text: string | null }): JSX.Element {
  return <div role="alert">{text !== null && <p class="lv-notice error">{text}</p>}</div>;
}
