// Owns taking files that are dragged onto a conversation.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { AttachIcon } from "./icons.tsx";
import { texts } from "./texts.ts";

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
      {isOver && (
        <div class="lv-drop-here" aria-hidden="true">
          <AttachIcon size={28} />
          {texts.dropHere}
        </div>
      )}
    </div>
  );
}

/** Files that are dropped beside an area would have the browser leave the page for them. */
export function ignoreStrayFiles(): void {
  const ignore = (event: DragEvent) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  };
  addEventListener("dragover", ignore);
  addEventListener("drop", ignore);
}
