/** What travels between the modules: the answers of the services, and the events that go up from the components. */

export interface User {
  user_id: number;
  username: string;
}

export interface AccessToken {
  access_token: string;
  expires_in: number;
}

export interface RankedPlayer {
  rank: number;
  user_id: number;
  username: string;
  total_score: number;
}

export interface BoardPage {
  top: RankedPlayer[];
  limit: number;
  offset: number;
  total_players: number;
}

/** Where a player stands; before the first session the rank is null. */
export interface Standing {
  user_id: number;
  username: string;
  total_score: number;
  rank: number | null;
}

export interface FieldError {
  detail: string;
  pointer?: string;
  parameter?: string;
}

export interface Credentials {
  username: string;
  password: string;
}

/** A refusal in words for a person: about the whole form, about single fields, or both. */
export interface Failure {
  form: string | null;
  fields: Readonly<Record<string, string>>;
}

export type SessionStatus = "restoring" | "signed-out" | "signed-in";

export type AccountMode = "closed" | "sign-in" | "sign-up";

interface ComponentEvents {
  "account:open": CustomEvent<{ mode: "sign-in" | "sign-up" }>;
  "account:close": CustomEvent<null>;
  "account:submit": CustomEvent<{ mode: "sign-in" | "sign-up"; credentials: Credentials }>;
  "account:sign-out": CustomEvent<null>;
  "board:page": CustomEvent<{ page: number }>;
  "board:jump": CustomEvent<null>;
  "connection:retry": CustomEvent<null>;
  "credentials:submit": CustomEvent<Credentials>;
  "game:end": CustomEvent<{ score: number }>;
  "score:submit": CustomEvent<{ score: number }>;
}

export type EventName = keyof ComponentEvents;
export type EventDetail<N extends EventName> = ComponentEvents[N]["detail"];

declare global {
  interface HTMLElementEventMap extends ComponentEvents {}
}
