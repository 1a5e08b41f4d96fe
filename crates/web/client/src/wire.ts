// Owns the protocol's types as far as the faces use them: attributes, action parameters, event parameters.
// Everything else imports wire types from here, so that generated types can take their place in one edit.

export interface UserAttrs {
  name?: string;
  realname?: string;
  guest?: boolean;
  connected?: boolean;
  idle?: number;
  deleted?: boolean;
  iconurl?: string;
}

export interface ChannelAttrs {
  name?: string;
  topic?: string;
  queue_id?: string;
  audience_id?: string;
  closed?: boolean;
  suspended?: boolean;
  /** Who may send files. */
  upload?: string;
}

export interface MemberAttrs {
  operator?: boolean;
  moderator?: boolean;
  silenced?: boolean;
  writing?: boolean;
}

export interface QueueAttrs {
  name?: string;
  length?: number;
  closed?: boolean;
  suspended?: boolean;
  capacity?: number;
}

/** What a queue's members know of how it is set. */
export interface QueueSettings {
  /** Where its customers may be transferred to. */
  transfer_queue_ids?: string[];
}

export interface RealmAttrs {
  name?: string;
}

/** A file as its message and the server describe it. */
export interface FileAttrs {
  name?: string;
  type?: string;
  size?: number;
  thumbnail?: { width: number; height: number };
}

export interface ChannelMember {
  user_attrs: UserAttrs;
  member_attrs: MemberAttrs;
}

/** A person in a queue, shown to the queue's members. An addition of this server. */
export interface WaitingAudience {
  audience_id: string;
  user_id: string;
  user_name?: string;
  request_time: number;
}

export type Metadata = Record<string, unknown>;

/** What `session_created` and `user_found` tell about the session's own user. */
export interface OwnUser {
  user_id: string;
  user_attrs: UserAttrs;
  user_settings?: Record<string, unknown>;
  user_channels?: Record<string, { channel_attrs: ChannelAttrs; channel_status?: string; realm_id?: string }>;
  user_realms?: Record<string, RealmAttrs>;
  user_queues?: Record<string, { queue_attrs: QueueAttrs; queue_position?: number; realm_id?: string }>;
}

interface ChannelDescription {
  channel_id: string;
  channel_attrs: ChannelAttrs;
  channel_members?: Record<string, ChannelMember>;
  channel_status?: string;
  realm_id?: string;
  audience_metadata?: Metadata;
}

interface QueueDescription {
  queue_id: string;
  queue_attrs: QueueAttrs;
  queue_settings?: QueueSettings;
  queue_position?: number;
  queue_time?: number;
  realm_id?: string;
  event_cause?: string;
  levee_waiting?: WaitingAudience[];
}

export interface EventParams {
  error: { error_type: string; error_reason?: string };
  session_created: OwnUser & { session_id: string; session_host?: string; user_auth?: string };
  session_status_updated: { channel_id?: string; user_id?: string; message_id: string };
  user_found: OwnUser;
  user_updated: { user_id: string; user_attrs: UserAttrs };
  user_deleted: { user_id: string };
  channel_found: ChannelDescription;
  channel_joined: ChannelDescription;
  channel_parted: { channel_id: string; event_cause?: string };
  channel_deleted: { channel_id: string };
  channel_updated: { channel_id: string; channel_attrs: ChannelAttrs };
  channel_member_joined: { channel_id: string; user_id: string } & ChannelMember;
  channel_member_parted: { channel_id: string; user_id: string };
  channel_member_updated: { channel_id: string; user_id: string; member_attrs: MemberAttrs };
  realm_updated: { realm_id: string; realm_attrs: RealmAttrs };
  realm_queues_found: {
    realm_id: string;
    realm_queues: Record<string, { queue_attrs: QueueAttrs; queue_position?: number }>;
  };
  queue_found: QueueDescription;
  queue_updated: QueueDescription;
  queue_joined: QueueDescription;
  queue_parted: { queue_id: string };
  queue_deleted: { queue_id: string };
  audience_enqueued: { queue_id: string; queue_attrs: QueueAttrs; queue_position: number; audience_id: string };
  message_received: {
    channel_id?: string;
    user_id?: string;
    message_id: string;
    message_time: number;
    message_type: string;
    message_user_id?: string;
    message_user_name?: string;
    message_hidden?: boolean;
    message_fold?: boolean;
    history_length?: number;
  };
  message_updated: { channel_id?: string; message_id: string; message_hidden?: boolean };
  /** `url_expiry` is in seconds since 1970. */
  file_found: { file_id: string; file_attrs: FileAttrs; file_url: string; thumbnail_url?: string; url_expiry: number };
  /** An addition of this server: where a file can be sent to, in the way of tus 1.0. */
  levee_upload_created: { upload_url: string; url_expiry: number; channel_id?: string; user_id?: string };
  /** An addition of this server: how far somebody's upload is, and at its end how it ended. */
  levee_upload_updated: {
    channel_id?: string;
    user_id: string;
    upload_id: string;
    file_attrs: FileAttrs;
    upload_offset: number;
    upload_ended?: string;
  };
  access_found: {
    access_type: string;
    user_id?: string;
    user_attrs?: UserAttrs;
    identity_name?: string;
    channel_id?: string;
    channel_attrs?: ChannelAttrs;
    queue_attrs?: QueueAttrs;
    realm_attrs?: RealmAttrs;
    realm_member?: boolean;
  };
  access_created: { access_type: string };
  identity_updated: { identity_name: string };
  history_results: { channel_id?: string; history_length: number; message_id?: string };
  pong: object;
  ack: object;
}

export type EventName = keyof EventParams;
export interface Envelope {
  event_id?: number;
  action_id?: number;
  frames?: number;
}
export type EventOf<K extends EventName> = { event: K } & Envelope & EventParams[K];
export type WireEvent = { [K in EventName]: EventOf<K> }[EventName];

export interface ActionParams {
  create_session: {
    user_id?: string;
    user_auth?: string;
    user_attrs?: UserAttrs;
    identity_type?: string;
    identity_name?: string;
    identity_auth?: string;
    access_key?: string;
    message_types: string[];
  };
  resume_session: { session_id?: string; event_id?: number };
  close_session: object;
  update_session: { session_idle?: boolean; channel_id?: string; message_id?: string };
  describe_user: { user_id?: string };
  update_user: { user_attrs?: UserAttrs };
  describe_channel: { channel_id: string };
  update_channel: { channel_id: string; channel_attrs: Partial<ChannelAttrs> };
  join_channel: { access_key: string };
  part_channel: { channel_id: string };
  update_member: { channel_id: string; user_id: string; member_attrs: MemberAttrs };
  describe_realm_queues: { realm_id: string; queue_ids?: string[] };
  describe_queue: { queue_id: string };
  update_queue: { queue_id: string; queue_attrs: Partial<QueueAttrs> };
  request_audience: { queue_id: string; audience_metadata?: Metadata };
  accept_audience: { queue_id: string; audience_id?: string };
  transfer_audience: { audience_id: string; queue_id: string };
  send_message: { channel_id: string; message_type: string };
  load_history: {
    channel_id: string;
    message_id?: string;
    history_length?: number;
    history_order?: 1 | -1;
  };
  describe_file: { file_id: string };
  levee_create_upload: { channel_id: string; file_attrs: { name: string; size: number } };
  describe_access: { access_key: string };
  verify_identity: { access_key: string; identity_accept: boolean };
  reset_identity_auth: { access_key: string; identity_auth_new: string };
  request_identity_auth_reset_access: { identity_type: string; identity_name: string };
  ping: object;
}

export type ActionName = keyof ActionParams;

/** The subprotocol that the WebSocket handshake asks for. */
export const SUBPROTOCOL = "ninchat.com";
/** What both faces subscribe to. */
export const MESSAGE_TYPES = ["ninchat.com/*"];
