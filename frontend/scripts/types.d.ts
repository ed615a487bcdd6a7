/** What travels between the modules: the answers of the services, and the events that go up from the components. */

export interface User {
  user_id: number;
  username: string;
  /** Whether the account has no password yet: nobody can sign in to it. */
  guest: boolean;
}

export interface AccessToken {
  access_token: string;
  expires_in: number;
}

export interface RankedPlayer {
  rank: number;
  user_id: number;
  username: string;
  score: number;
}

export interface BoardPage {
  top: RankedPlayer[];
  offset: number;
  total_players: number;
}

/** Where a player stands; before the first session score and rank are null. */
export interface Standing {
  user_id: number;
  score: number | null;
  rank: number | null;
  total_players?: number;
  /** Who stood close behind and stands ahead now, where that is told. */
  passed_by?: RankedPlayer[];
}

/** That the system does not answer. */
export interface Outage {
  /** Whether it is this browser that has no network. */
  offline: boolean;
}

export interface Credentials {
  username: string;
  password: string;
}

/** A recovery code, and the password that it sets. */
export interface Recovery {
  username: string;
  code: string;
  new_password: string;
}

/** The recovery codes that are not used up; where there is none they were made at no time. */
export interface RecoveryCodesLeft {
  left: number;
  made_at: string | null;
}

/** A place where the person is signed in: a family of refresh tokens. Times are RFC 3339. */
export interface Device {
  session_id: string;
  kind: "browser" | "app";
  created_at: string;
  last_used_at: string;
  address: string;
  user_agent: string;
  current: boolean;
}

/** A refusal in words for a person: about the whole form, about single fields, or both. */
export interface Failure {
  form: string | null;
  fields: Readonly<Record<string, string>>;
  /** When the same will no longer be refused, in milliseconds since 1970; null when time changes nothing. */
  retryAt: number | null;
}

/** How far something that a person asked for has come. */
export interface Progress {
  busy: boolean;
  failure: Failure | null;
  result: string;
}

export type SessionStatus = "restoring" | "signed-out" | "signed-in";

/** How the last session ended: by the person's wish, by itself, or with the account. */
export type SessionEnding = "left" | "expired" | "deleted";

/** The forms of a name and a password: for who has an account, who makes one, and a guest who keeps theirs. */
export type CredentialsMode = "sign-in" | "sign-up" | "keep";

/** What the dialog can be opened at: besides them, the form for who has forgotten the password. */
export type EntryMode = CredentialsMode | "recover";

export type AccountMode = "closed" | EntryMode;

/** The sections of the account's settings. */
export type SettingsSection = "name" | "password" | "recovery" | "devices" | "data" | "deletion";

/** What is kept of a person, by the service that keeps it. */
export type Export = "account" | "games";

interface ComponentEvents {
  "account:open": CustomEvent<{ mode: EntryMode }>;
  "account:close": CustomEvent<null>;
  "account:submit": CustomEvent<{ mode: CredentialsMode; credentials: Credentials }>;
  "account:guest": CustomEvent<null>;
  "account:recover": CustomEvent<Recovery>;
  /** `sure`: whether a guest knows that there is no way back. */
  "account:sign-out": CustomEvent<{ sure: boolean }>;
  "board:page": CustomEvent<{ page: number }>;
  "board:jump": CustomEvent<null>;
  "connection:retry": CustomEvent<null>;
  "credentials:submit": CustomEvent<Credentials>;
  "game:end": CustomEvent<{ score: number }>;
  /** `fresh`: whether the score was typed or brought anew since one was sent, be it an equal one. */
  "score:submit": CustomEvent<{ score: number; fresh: boolean }>;
  "settings:open": CustomEvent<null>;
  "settings:close": CustomEvent<null>;
  "settings:turn": CustomEvent<{ section: SettingsSection | null }>;
  "settings:rename": CustomEvent<{ username: string }>;
  "settings:password": CustomEvent<{ current_password: string; new_password: string }>;
  "settings:make-codes": CustomEvent<{ password: string }>;
  "settings:copy-codes": CustomEvent<null>;
  "settings:save-codes": CustomEvent<null>;
  "settings:devices": CustomEvent<null>;
  "settings:end": CustomEvent<{ device: Device }>;
  "settings:end-others": CustomEvent<null>;
  "settings:download": CustomEvent<{ what: Export }>;
  /** A guest has no password. */
  "settings:delete": CustomEvent<{ password: string | null }>;
}

export type EventName = keyof ComponentEvents;
export type EventDetail<N extends EventName> = ComponentEvents[N]["detail"];

declare global {
  interface HTMLElementEventMap extends ComponentEvents {}
}
