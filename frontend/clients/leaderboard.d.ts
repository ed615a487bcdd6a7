/** The types of leaderboard.js, version 1.0.0. What the server answers keeps the names that it has there. */

export const VERSION: string;

// ---------------------------------------------------------------------------------------------------------- Errors

export interface FieldError {
  detail: string;
  /** Where in the body it is, as "#/username". */
  pointer?: string;
  parameter?: string;
}

/** RFC 9457. */
export interface ProblemDocument {
  type?: string;
  title?: string;
  detail?: string;
  errors?: FieldError[];
}

/** The server said no (4xx). */
export class Problem extends Error {
  constructor(status: number, document?: ProblemDocument, retryAfter?: number);
  status: number;
  /** Why, as "urn:problem:username-taken". */
  type: string;
  title: string;
  detail: string;
  errors: FieldError[];
  /** For how many seconds the same will be refused, where the answer told; else 0. */
  retryAfter: number;
}

/** No answer of the leaderboard came, or one that it cannot give one (5xx). What was asked for may have been done. */
export class Unreachable extends Error {
  constructor(message: string, more?: { status?: number; retryAfter?: number; offline?: boolean; cause?: unknown });
  /** 0: no answer at all. */
  status: number;
  /** In seconds, as the answer told; else 0. */
  retryAfter: number;
  /** Whether this device has no network. */
  offline: boolean;
}

/** Nobody is signed in, or is not any more. */
export class SessionEnded extends Error {}

/** As many scores wait to be sent as may. */
export class QueueFull extends Error {
  constructor(limit: number);
}

// --------------------------------------------------------------------------------------------------------- Storage

/** Keeps text for the client: by the names "session" and "queue". */
export interface Storage {
  get(name: string): string | null | Promise<string | null>;
  /** Keeps it for good before it returns: what was there, or what is there now, survives a crash. null: forgets it. */
  set(name: string, text: string | null): void | Promise<void>;
  /** Where tabs of a browser share what is kept: what they know each other by. */
  readonly shared?: string;
}

export class MemoryStorage implements Storage {
  get(name: string): string | null;
  set(name: string, text: string | null): void;
}

/** localStorage, the default in a browser. */
export class BrowserStorage implements Storage {
  constructor(prefix?: string);
  get(name: string): string | null;
  set(name: string, text: string | null): void;
  readonly shared: string;
}

/** Files in a folder (Node). One program at a time may use a folder. */
export class FileStorage implements Storage {
  constructor(folder: string);
  get(name: string): Promise<string | null>;
  set(name: string, text: string | null): Promise<void>;
}

// -------------------------------------------------------------------------------------------------------- Sessions

export interface User {
  user_id: number;
  username: string;
  /** Whether the account has no password yet: nobody can sign in to it. */
  guest: boolean;
}

export interface Tokens {
  access_token: string;
  /** In seconds. */
  expires_in: number;
  refresh_token: string;
}

/** What is kept by the name "session". */
export interface KeptSession extends User {
  access_token: string;
  /** By this device's clock, in milliseconds since 1970. */
  expires_at: number;
  refresh_token: string;
}

/** Whose calls these are. A game that signs its players in by itself may bring its own. */
export interface Session {
  readonly user: User | null;
  /** Whose scores are sent now; null while nobody is signed in. */
  owner(): Promise<number | string | null>;
  /** Calls with a token that is good; rejects with SessionEnded where there is none. */
  authorized<T>(call: (token: string, owner: number | string) => Promise<T>): Promise<T>;
}

// ---------------------------------------------------------------------------------------------------------- Scores

export interface SubmissionFields {
  /** The boards that it counts for; without them, each whose rule takes it. */
  boards?: string[];
  metrics?: Record<string, number>;
  tags?: Record<string, string>;
  /** JSON that is kept with it. */
  extra?: unknown;
  /** Whose session it is. Only a game server says so. */
  user_id?: number;
  /** When it was played. Only a game server says so. */
  played_at?: string;
}

/** A score that waits to be sent. */
export interface Entry {
  key: string;
  /** Whose it is; null: whoever signs in next. A game server's are its client_id's. */
  user_id: number | string | null;
  body: { score: number } & SubmissionFields;
  queued_at: string;
}

export interface SubmittedStanding {
  board: string;
  window: string;
  period_id: number;
  score: number | null;
  rank: number | null;
  total_players: number | null;
  counted: boolean;
  improved: boolean;
}

export interface Submitted {
  session_id: number;
  user_id: number;
  username: string;
  total_score: number | null;
  rank: number | null;
  /** Whether somebody looks at it before it counts. */
  held: boolean;
  standings: SubmittedStanding[];
  /** Whether it had counted before: its answer was lost, and this is the answer to its repeat. */
  repeated: boolean;
}

export interface Submission {
  key: string;
  /** Rejects with a Problem if the server refuses the score. */
  result: Promise<Submitted>;
}

export interface ServerSubmission extends SubmissionFields {
  user_id: number;
  score: number;
  key?: string;
}

export interface ServerResult {
  /** 201: new. 200: a repeat. Else there is a problem. */
  status: number;
  session_id?: number;
  held?: boolean;
  standings?: SubmittedStanding[];
  problem?: ProblemDocument & { status: number };
}

/** empty: all is sent. sending. offline: no answer came, it is tried again. waiting: nobody is signed in whose scores they are. */
export type QueueReason = "empty" | "sending" | "offline" | "waiting";

export interface Events {
  submitted: (entry: Entry, result: Submitted) => void;
  refused: (entry: Entry, problem: Problem) => void;
  queueChanged: (length: number, reason: QueueReason) => void;
  sessionEnded: () => void;
}

// ---------------------------------------------------------------------------------------------------------- Boards

export interface Place {
  board?: string;
  /** A window's name, as "week"; without one, the board's first. */
  window?: string | undefined;
  /** "current", "previous", or a period's number. */
  period?: string | number | undefined;
}

export interface OfBoard {
  board: string;
  window: string;
  period_id: number | null;
  total_players: number;
}

export interface BoardRow {
  rank: number;
  user_id: number;
  username: string;
  score: number;
  extra?: unknown;
}

export interface BoardPage extends OfBoard {
  top: BoardRow[];
  offset: number;
  generation: string | null;
  next_cursor: string | null;
}

/** Before the first session score and rank are null. */
export interface BoardRank extends OfBoard {
  rank: number | null;
  user_id: number;
  username: string;
  score: number | null;
  extra?: unknown;
  percentile: number | null;
  to_next: { points: number; rank: number } | null;
}

/** How the player stands, as a watch tells it. */
export interface OwnStanding extends OfBoard {
  user_id: number;
  username: string;
  score: number | null;
  rank: number | null;
  /** Who stood close behind and stands ahead now, where that is told. */
  passed_by?: BoardRow[];
}

export interface OwnSession {
  session_id: number;
  score: number;
  submitted_at: string;
  voided: boolean;
  held: boolean;
}

// ------------------------------------------------------------------------------------------------------------ Live

export interface StreamEvent {
  type: string;
  id: string;
  data: string;
}

export interface WatchOptions extends Place {
  /** Rows, 1 to 100. */
  limit?: number;
  /** Whether the player's own standing is told too. */
  withMe?: boolean;
  /** false: the board is asked for every five seconds. */
  streaming?: boolean;
  /** What was heard before, by the id that came with it. */
  lastEventId?: string;
}

export interface WatchHandlers {
  top?: (page: BoardPage, id: string) => void;
  me?: (standing: OwnStanding, id: string) => void;
  /** Another period is shown from now on. */
  period?: (change: any, id: string) => void;
  /** offline: no answer comes; it is tried again. */
  state?: (state: "live" | "polling" | "offline", error?: unknown) => void;
  /** Nothing more comes: the period is over, or the server refuses to tell (problem). */
  end?: (problem: Problem | null) => void;
}

export interface WatchHandle {
  close(): void;
  /** Has what changed just now be told soon. */
  now(): void;
}

// ----------------------------------------------------------------------------------------------------- Leaderboard

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface RequestOptions {
  body?: object | undefined;
  form?: URLSearchParams;
  token?: string | undefined;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** In milliseconds. */
  timeout?: number;
  /** Whether it outlives the page. */
  keepalive?: boolean;
  /** What is made of the answer; without it, the answer's JSON. */
  read?: (answer: Response) => Promise<unknown>;
}

export interface Options {
  /** The board of calls that name none: "main". */
  board?: string;
  /** In a browser localStorage, elsewhere memory. */
  storage?: Storage;
  /** How many scores may wait to be sent: 100. */
  queueLimit?: number;
  /** For how long an answer is waited for, in milliseconds: 10,000. */
  timeout?: number;
  /** A game server's key. */
  clientId?: string;
  clientSecret?: string;
  /** In the place of the client's own. */
  session?: Session;
}

export class Leaderboard {
  constructor(site: string, options?: Options);

  /** Who is signed in, once what is kept has been looked at. */
  readonly ready: Promise<User | null>;
  readonly user: User | null;
  close(): void;
  on<E extends keyof Events>(event: E, listener: Events[E]): () => void;

  /** Makes an account and signs in. */
  register(username: string, password: string): Promise<User>;
  login(username: string, password: string): Promise<User>;
  /** Goes on as who is signed in, else makes a guest. */
  playAsGuest(): Promise<User>;
  /** Gives a guest's account a name and a password. */
  keepAccount(username: string, password: string): Promise<User>;
  logout(): Promise<void>;

  /** Resolves once the score is kept. It is sent until it has counted, once. */
  submit(score: number, fields?: SubmissionFields): Promise<Submission>;
  /** Until every score of who is signed in is sent. */
  flush(): Promise<void>;
  queued(): Promise<Entry[]>;
  /** Of a game server: many at once, tried until each has an answer. */
  submitMany(submissions: ServerSubmission[], options?: { signal?: AbortSignal }): Promise<ServerResult[]>;

  boards(options?: { prefix?: string; limit?: number; cursor?: string | null }): Promise<any>;
  board(name?: string): Promise<any>;
  top(options?: Place & { limit?: number; cursor?: string | null; offset?: number }): Promise<BoardPage>;
  rank(who?: number | "me", options?: Place): Promise<BoardRank>;
  around(who?: number | "me", options?: Place & { radius?: number }): Promise<OfBoard & { players: BoardRow[] }>;
  ranks(user_ids: number[], options?: Place): Promise<any>;
  rankOfScore(score: number, options?: Place): Promise<any>;
  distribution(options?: Place & { bins?: number }): Promise<any>;

  findPlayers(name: string): Promise<any>;
  player(user_id: number): Promise<any>;
  standings(user_id: number): Promise<any>;
  mySessions(options?: {
    board?: string;
    limit?: number;
    cursor?: string | null;
  }): Promise<{ sessions: OwnSession[]; next_cursor: string | null }>;

  watch(options: WatchOptions, handlers: WatchHandlers): WatchHandle;
  /** Any other call of the API. With `signed` it is done as who is signed in. */
  request(method: Method, path: string, options?: RequestOptions & { signed?: boolean }): Promise<any>;
}

// ------------------------------------------------------------------------------------ For pages with more of their own

/** Milliseconds to stay away after a failure: at random, longer with each, and as long as the server asked for. */
export function pauseAfter(error: unknown, failures: number, longest?: number): number;

/** A pause that somebody else can end. */
export class Pause {
  end: () => void;
  for(ms: number): Promise<void>;
}

/** 128 random bits, as hex. */
export function newKey(): string;

/** Takes a text/event-stream apart. */
export class EventStream {
  retryMs: number;
  push(text: string): StreamEvent[];
}
