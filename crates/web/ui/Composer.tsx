// Owns writing a message: Enter sends, Shift+Enter breaks the line, the field grows with its text.
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { AttachIcon, SendIcon } from "./icons.tsx";
import { texts } from "./texts.ts";

export interface ComposerProps {
  text: string;
  disabled?: boolean;
  autoFocus?: boolean;
  onText: (text: string) => void;
  onSend: (text: string) => void;
  /** Without it no files can be sent. */
  onFiles?: ((files: File[]) => void) | undefined;
}

export function Composer({ text, disabled = false, autoFocus = false, onText, onSend, onFiles }: ComposerProps): JSX.Element {
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
      {onFiles && <AttachButton onFiles={onFiles} />}
      <textarea
        ref={field}
        rows={1}
        value={text}
        disabled={disabled}
        aria-label={texts.messageLabel}
        placeholder={disabled ? texts.closedPlaceholder : texts.messagePlaceholder}
        onInput={(event) => onText(event.currentTarget.value)}
        onPaste={(event) => {
          const { files, types } = event.clipboardData!;
          // What is copied from a document is text, of which there is a picture as well.
          if (!onFiles || files.length === 0 || (types.includes("text/plain") && types.includes("text/html"))) return;
          event.preventDefault();
          onFiles([...files]);
        }}
        onKeyDown={(event) => {
          // While a word is being composed (Japanese, Chinese, …) Enter picks it.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button type="submit" class="lv-icon-button lv-send" disabled={isEmpty || disabled} aria-label={texts.send} title={texts.send}>
        <SendIcon />
      </button>
    </form>
  );
}

function AttachButton({ onFiles }: { onFiles: (files: File[]) => void }): JSX.Element {
  return (
    <label class="lv-icon-button" title={texts.attach}>
      <AttachIcon />
      <input
        class="lv-hidden"
        type="file"
        multiple
        aria-label={texts.attach}
        onChange={({ currentTarget }) => {
          onFiles([...currentTarget.files!]);
          // The same file may be chosen again.
          currentTarget.value = "";
        }}
      />
    </label>
  );
}
