// Owns sending a customer on to another queue: choosing where, and saying why that doesn't work.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Conversation, Queue } from "../client/src/index.ts";
import { TransferIcon } from "./icons.tsx";
import { describeTransferTargets, queueName, state, transfer, transferIds } from "./model.ts";
import { queueState } from "./Sidebar.tsx";
import { texts } from "./texts.ts";

export function TransferButton(props: { conversation: Conversation; name: string }): JSX.Element | null {
  const { conversation, name } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isWorking, setWorking] = useState(false);
  const ids = transferIds(conversation);
  const targets = ids.flatMap((id) => state.value.queues[id] ?? []);
  // The first is as good as any: most queues name one.
  const target = targets.find(({ id }) => id === chosen) ?? targets[0];
  if (!ids[0]) return null;

  const open = async () => {
    setError(null);
    await describeTransferTargets(conversation);
    dialog.current?.showModal();
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!target || isWorking) return;
    setError(null);
    setWorking(true);
    const problem = await transfer(conversation, name, target);
    setWorking(false);
    setError(problem);
  };

  return (
    <>
      <button type="button" class="lv-button" title={texts.transfer} onClick={() => void open()}>
        <TransferIcon size={18} />
        <span class="label">{texts.transfer}</span>
      </button>
      <dialog ref={dialog} aria-labelledby="transfer-question">
        <form onSubmit={(event) => void submit(event)}>
          <h2 id="transfer-question">{texts.transferQuestion(name)}</h2>
          <p class="soft">{target ? texts.transferHint : texts.noTransferTargets}</p>
          <fieldset class="targets">
            <legend class="lv-hidden">{texts.queues}</legend>
            {targets.map((queue) => (
              <Target key={queue.id} queue={queue} isChosen={queue === target} onChoose={() => setChosen(queue.id)} />
            ))}
          </fieldset>
          <div role="alert">{error && <p class="lv-notice error">{error}</p>}</div>
          <div class="answers">
            <button type="button" class="lv-button" onClick={() => dialog.current?.close()}>
              {texts.cancel}
            </button>
            <button class="lv-button primary" disabled={!target || isWorking}>
              {isWorking ? texts.transferring : texts.transfer}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}

function Target(props: { queue: Queue; isChosen: boolean; onChoose: () => void }): JSX.Element {
  const { queue, isChosen, onChoose } = props;
  const kind = queueState(queue);
  const length = queue.attrs.length ?? 0;
  return (
    <label class="target">
      <input type="radio" name="target" checked={isChosen} onChange={onChoose} />
      <span class="target-name">{queueName(queue)}</span>
      <span class="soft">
        <i class={`dot ${kind}`} aria-hidden="true" />
        {queue.attrs.closed ? texts.queueStates.closed : texts.queueStates.open}
        {` · ${length > 0 ? texts.waitingCount(length) : texts.nobodyWaits}`}
      </span>
    </label>
  );
}
