// Owns taking files that are dragged onto a conversation.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

export interface DropAreaProps {
  class: string;
  /** Without it nothing is taken. */
  onFiles: ((files: File[]) => void) | undefined;
  children: ComponentChildren;
}

export function DropArea({ class: name, onFiles, children }: DropAreaProps): JSX.Element {
  const [isOver, setOver] = useState(false);
  const over = (event: DragEvent, next: boolean) => {
    // Text that is dragged goes where it always goes.
    if (!onFiles || !event.dataTransfer!.types.includes("Files")) return;
    event.preventDefault();
    setOver(next);
  };
  return (
    <div
      class={isOver ? `${name} lv-drop` : name}
      onDragOver={(event) => over(event, true)}
      onDragLeave={(event) => over(event, event.currentTarget.contains(event.relatedTarget as Node | null))}
      onDrop={(event) => {
        over(event, false);
        // Of text that is dropped there are none.
        onFiles?.([...event.dataTransfer!.files]);
      }}
    >
      {children}
    </div>
  );
}
