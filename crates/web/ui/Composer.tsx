// Owns writing a message: Enter sends, Shift+Enter breaks the line, the field grows with its text.
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { SendIcon } from "./icons.tsx";
import { texts } from "./texts.ts";

export interface ComposerProps {
  text: string;
  disabled?: boolean;
  autoFocus?: boolean;
  onText: (text: string) => void;
  onSend: (text: string) => void;
}

export function Composer({ text, disabled = false, autoFocus = false, onText, onSend }: ComposerProps): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  const isEmpty = text.trim() === "";

  useLayoutEffect(() => {
    const element = field.current!;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  useLayoutEffect(() => {
    if (autoFocus) field.current!.focus();
  }, [autoFocus]);

  const send = () => {
    if (isEmpty || disabled) return;
    onSend(text.trim());
    field.current!.focus();
  };

  return (
    <form
      class="lv-composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        value={text}
        disabled={disabled}
        aria-label={texts.messageLabel}
        placeholder={disabled ? texts.closedPlaceholder : texts.messagePlaceholder}
        onInput={(event) => onText(event.currentTarget.value)}
        onKeyDown={(event) => {
          // While a word is being composed (Japanese, Chinese, …) Enter picks it.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button type="submit" class="lv-icon-button" disabled={isEmpty || disabled} aria-label={texts.send} title={texts.send}>
        <SendIcon />
      </button>
    </form>
  );
}
