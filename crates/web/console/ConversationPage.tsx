// Owns a conversation's page: who it is with, their data, the messages, writing, and ending it.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { filesOf, isEnded, maySendFiles, type Conversation } from "../client/src/index.ts";
import { Composer } from "../ui/Composer.tsx";
import { DropArea } from "../ui/DropArea.tsx";
import { FileCards } from "../ui/FileCards.tsx";
import { MessageList } from "../ui/MessageList.tsx";
import type { NameOf } from "../ui/timeline.ts";
import { UploadList } from "../ui/UploadList.tsx";
import { BackLink } from "./BackLink.tsx";
import { CustomerData } from "./CustomerData.tsx";
import { EndIcon } from "./icons.tsx";
import { drafts, endConversation, fileLinks, hideConversation, loadOlder, resend, send, state, uploads, write } from "./model.ts";
import { customerId, customerName, nameIn, presence } from "./people.ts";
import { PresenceDot } from "./Sidebar.tsx";
import { texts } from "./texts.ts";
import { TransferButton } from "./TransferButton.tsx";

export function ConversationPage({ id }: { id: string }): JSX.Element {
  const conversation = state.value.conversations[id];
  if (!conversation) return <div class="blank">{texts.gone}</div>;
  const selfId = state.value.user?.id;
  const name = customerName(conversation, selfId);
  const queueName = state.value.queues[conversation.attrs.queue_id ?? ""]?.attrs.name ?? conversation.attrs.name ?? "";
  const ended = isEnded(conversation);
  const onFiles = !ended && maySendFiles(conversation, selfId) ? (files: File[]) => uploads().send(id, files) : undefined;
  const nameOf: NameOf = (userId, writtenAs) => nameIn(conversation, userId, writtenAs);
  return (
    <DropArea class="page conversation" onFiles={onFiles}>
      <ConversationHead conversation={conversation} name={name} queueName={queueName} />
      <CustomerData metadata={conversation.metadata} />
      <MessageList
        conversation={conversation}
        selfId={selfId}
        side="agent"
        nameOf={nameOf}
        queueNameOf={(queueId) => state.value.queues[queueId]?.attrs.name}
        onRetry={(messageId) => resend(id, messageId)}
        onOlder={() => loadOlder(id)}
        renderFiles={(message) => <FileCards files={filesOf(message)} links={fileLinks()} />}
      >
        <p class="lv-info">{texts.accepted(name, queueName)}</p>
      </MessageList>
      <UploadList conversation={conversation} uploads={uploads()} nameOf={nameOf} />
      {ended ? (
        <div class="ended" role="status">
          <p>{texts.endedNotice}</p>
          <button type="button" class="lv-button" onClick={() => void hideConversation(id)}>
            {texts.hide}
          </button>
        </div>
      ) : (
        <Composer
          autoFocus
          text={drafts.value[id] ?? ""}
          onText={(text) => write(id, text)}
          onSend={(text) => send(id, text)}
          onFiles={onFiles}
        />
      )}
    </DropArea>
  );
}

function ConversationHead(props: { conversation: Conversation; name: string; queueName: string }): JSX.Element {
  const { conversation, name, queueName } = props;
  const customer = conversation.members[customerId(conversation, state.value.user?.id) ?? ""];
  return (
    <header class="page-head">
      <BackLink />
      <div class="titles">
        <h1>{name}</h1>
        <p class="soft">
          <PresenceDot value={presence(customer?.user_attrs)} />
          {queueName}
        </p>
      </div>
      {!isEnded(conversation) && (
        <>
          <TransferButton conversation={conversation} name={name} />
          <EndButton id={conversation.id} name={name} />
        </>
      )}
    </header>
  );
}

function EndButton({ id, name }: { id: string; name: string }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button type="button" class="lv-button" title={texts.end} onClick={() => dialog.current?.showModal()}>
        <EndIcon size={18} />
        <span class="label">{texts.end}</span>
      </button>
      <dialog ref={dialog} aria-labelledby="end-question">
        <form
          method="dialog"
          onSubmit={(event) => {
            const answer = (event as SubmitEvent).submitter as HTMLButtonElement;
            if (answer.value === "end") void endConversation(id);
          }}
        >
          <h2 id="end-question">{texts.endQuestion(name)}</h2>
          <p class="soft">{texts.endHint}</p>
          <div class="answers">
            <button class="lv-button" value="cancel">
              {texts.cancel}
            </button>
            <button class="lv-button danger" value="end">
              {texts.end}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
