// Written by `make types` from dispatcher/queries/shapes, dispatcher/live and dispatcher/events.py: do not edit.

/** ISO 8601 in UTC. */
export type Time = string;

/** The document of the live topic `activity`. */
export interface ActivityDocument {
  /** The id of the newest action that matches. */
  newest: string | null;
}

/** One attempt in the timeline of a task, oldest first. */
export interface AttemptRow {
  /** Unique within the task; "current" for the attempt that lives on the task itself. */
  id: string;
  number: number;
  node: string | null;
  /** An attempt outcome, "succeeded", "dispatched" or "running". */
  outcome: string;
  queued_at: Time | null;
  dispatched_at: Time | null;
  started_at: Time | null;
  ended_at: Time | null;
  /** When the next one was due, or will be; None after the last. */
  retry_at: Time | null;
  error: ErrorDetail | null;
}

/** A page of the audit trail, newest first. */
export interface AuditPage {
  rows: AuditRow[];
  /** Where the next page begins; None if there is none. */
  next: string | null;
  /** Down to which action it was looked for more, if not through all of them. */
  searched_to: string | null;
}

/** What someone did. */
export interface AuditRow {
  id: string;
  at: Time;
  kind: string;
  actor: string;
  /** The event's fields, lists of tasks cut to the first 20. */
  facts: Record<string, unknown>;
  /** How many tasks it was about, those that were cut included. */
  num_tasks: number;
}

/** The document of the live topic `bulk:<id>`. */
export interface BulkDocument {
  job: BulkRow;
  left: BulkLeft[];
}

/** Tasks that were left as they were, for one reason. */
export interface BulkLeft {
  /** not_ended, retried, ended, changed, gone, refused */
  reason: string;
  count: number;
  /** The first of them, at most 200. */
  tasks: BulkSkipped[];
}

/** Bulk actions, newest first; the document of the live topic `bulk`. */
export interface BulkPage {
  jobs: BulkRow[];
  /** Where the next page begins; None if there is none. */
  next: string | null;
}

/** What an action would be about, counted now. */
export interface BulkPreview {
  action: string;
  /** The query in its canonical form; "" for all tasks. */
  query: string;
  again: boolean;
  /** Matching tasks that were counted: all of them if `is_exact`, else there are more. */
  count: number;
  is_exact: boolean;
  /** How many there are in all by the kept counters, where these can tell; None where they cannot. */
  estimate: number | null;
  /** Of those counted, the tasks that it would be done to. */
  will: number;
  /** The others by why they would be left: not_ended, retried, ended. */
  left: Record<string, number>;
  /** Those counted by their state. */
  states: Record<string, number>;
  /** Ids of the newest ones. */
  sample: string[];
  /** Down to which task was looked, if not through all of them. */
  searched_to: string | null;
}

/** One action on all tasks that match, and how far it is. */
export interface BulkRow {
  id: string;
  /** retry, cancel */
  action: string;
  /** running, paused, done, cancelled, failed */
  state: string;
  /** In the search language; "" for all tasks. */
  query: string;
  /** Also tasks that were retried before. */
  again: boolean;
  actor: string;
  batch_size: number;
  /** None: as fast as it goes. */
  per_second: number | null;
  /** Matching tasks, as counted at the start; None if there were too many to count. */
  expected: number | null;
  /** Of which so many were dealt with: the sum of the next three. */
  handled: number;
  done: number;
  skipped: number;
  failed: number;
  /** Of those done, running tasks whose node was asked to stop them. */
  asked: number;
  /** From 0 to 1; None where it is not known of how many. */
  fraction: number | null;
  /** Tasks dealt with a second, pauses left out; None at the beginning. */
  rate: number | null;
  /** How long it will take at this rate, in milliseconds. */
  left_ms: number | null;
  created_at: Time;
  last_at: Time | null;
  paused_at: Time | null;
  paused_by: string;
  finished_at: Time | null;
  /** Why the last batch did not fit; it is tried again. */
  held_by: string;
  /** Why it failed. */
  error: string;
  /** The tag of the tasks that it makes; "" if it makes none. */
  tag: string;
}

/** A task that was left as it was. */
export interface BulkSkipped {
  id: string;
  /** What the database said, if it refused the task. */
  detail: string;
}

/** One reason of the sentence that tells why a task waits. */
export interface Cause {
  code: string;
  text: string;
  facts: Record<string, string | number>;
  /** How many nodes have it; 0 where it holds for all alike. */
  nodes: number;
}

/** Tasks per state. */
export interface Counts {
  scheduled: number;
  queued: number;
  dispatched: number;
  running: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  expired: number;
}

/** A node that joined with an enrolment token; `token` is how that begins. */
export interface Enrolment {
  token: string;
  node: string;
  at: Time;
}

/** A failure in full, as far as its size allowed. */
export interface ErrorDetail {
  type: string;
  message: string;
  traceback: string;
}

/** Failed tasks with the same task type and error, out of the newest 200 failed tasks. */
export interface FailureGroup {
  type: string;
  error: string;
  count: number;
  last_task: string;
  last_at: Time;
}

/** How far the log of one attempt has come. */
export interface LogEnd {
  attempt: number;
  /** The number of its last line. */
  last: number;
}

/** One log line of a task. */
export interface LogLine {
  /** "<attempt>.<n>" */
  id: string;
  attempt: number;
  /** Counts from 1 within the attempt. */
  n: number;
  at: Time;
  level: string;
  text: string;
}

/** Log lines of one attempt, in order. */
export interface LogPage {
  attempt: number;
  lines: LogLine[];
  /** Pass it as `after` for what follows; None if there was nothing more. */
  next: number | null;
}

/** One node on the map. */
export interface NodeCell {
  name: string;
  status: string;
  rank: number;
  slots: number;
  busy: number;
}

/** Everything about one node; the document of the live topic `node:<name>`. */
export interface NodeDetail {
  node: NodeRow;
  url: string;
  boot_id: string;
  incarnation: number;
  protocol: number;
  /** Queues that it serves; empty means all. */
  queues: string[];
  /** None: any type. */
  types: TypeInfo[] | null;
  created_at: Time;
  registered_at: Time | null;
  lease_expires_at: Time | null;
  push_failures: number;
  /** What it has now, newest first, at most 200. */
  tasks: TaskRow[];
  /** Failed tasks whose last attempt was here, newest first, at most 20 of the newest 1,000 failed tasks. */
  failures: TaskRow[];
  status: string;
  /** Who wanted what `intent` says; "" if nobody did, or nobody knows any longer. */
  intent_by: string;
  intent_at: Time | null;
  /** The last 60 minutes, oldest first; the last one is not over. */
  series: NodeMinutePoint[];
  /** Newest first, at most 50. */
  events: NodeEventRow[];
}

/** Something that happened to a node. */
export interface NodeEventRow {
  id: string;
  at: Time;
  kind: string;
  /** Who asked for it; "" for what was found. */
  actor: string;
  reason: string;
}

/** One node in the list of the pool. While it beats on time, large pools leave `last_seen_at` out (None). */
export interface NodeListRow {
  name: string;
  state: string;
  intent: string;
  reason: string;
  drain_until: Time | null;
  hands_back: boolean | null;
  draining: boolean;
  slots: number;
  held: number;
  busy: number;
  waiting_on_node: number;
  running: number;
  labels: Record<string, string>;
  version: string;
  breaker: string;
  tutorial: boolean;
  last_seen_at: Time | null;
  held_until: Time | null;
  succeeded_last_hour: number;
  failed_last_hour: number;
  /** offline, suspect, breaker, trial, refusing, draining, drained, online, disabled: the most pressing of what it is. */
  status: string;
  /** Its place: problems first. */
  rank: number;
  /** Its version is not the one that most nodes online have. */
  skew: boolean;
}

/** How the attempts on a node ended in one minute. */
export interface NodeMinutePoint {
  minute: Time;
  succeeded: number;
  failed: number;
}

/** What keeps a task from one node. */
export interface NodeObstacles {
  name: string;
  /** The decisive one first; empty if the node could take the task now. */
  reasons: Obstacle[];
  /** The last attempt ended badly there: only if no other node can take it. */
  avoided: boolean;
}

/** One node in a list. Load is by our own accounting, never what the node says of itself. */
export interface NodeRow {
  name: string;
  /** online, suspect, offline */
  state: string;
  /** What the operator wants: run, drain, disabled; `reason` says why. */
  intent: string;
  reason: string;
  /** Of a drain with a deadline: when it ends, and whether what is left then is handed back to run elsewhere. */
  drain_until: Time | null;
  hands_back: boolean | null;
  /** The node itself takes no more work. */
  draining: boolean;
  slots: number;
  /** All attempts that it has. */
  held: number;
  /** Slots in use: at most `slots`. */
  busy: number;
  /** Attempts beyond the slots. */
  waiting_on_node: number;
  /** Attempts that it has reported as running; short tasks end before that. */
  running: number;
  labels: Record<string, string>;
  version: string;
  /** closed, open, half_open */
  breaker: string;
  /** Written to the two-file tutorial. */
  tutorial: boolean;
  last_seen_at: Time | null;
  /** No pushes before then; None when there is no pause. */
  held_until: Time | null;
  /** Attempts that ended in the last hour. */
  succeeded_last_hour: number;
  failed_last_hour: number;
}

/** The document of the live topic `nodes`. */
export interface NodesDocument {
  nodes_online: number;
  nodes_total: number;
  slots_busy: number;
  slots_total: number;
  /** Those that match the filter, problems first, at most as many as were asked for. */
  nodes: NodeListRow[];
  /** All that match. */
  cells: NodeCell[];
  matching: number;
  /** Nodes of the pool by status, whatever the filter, and `problem` for all that somebody should look at. */
  statuses: Record<string, number>;
  /** The version that most nodes online have. */
  usual_version: string;
  /** The last ten, newest first. */
  enrolments: Enrolment[];
}

/** One thing that keeps a task from a node, or from all of them. */
export interface Obstacle {
  /** Stable; programs may match on it. */
  code: string;
  text: string;
  /** What the text speaks of, by name: node, queue, type, label, seconds … */
  facts: Record<string, string | number>;
}

/** The ready task that waits longest. */
export interface OldestWait {
  queue: string;
  since: Time;
}

/** The document of the live topic `overview`. */
export interface Overview {
  nodes_online: number;
  nodes_total: number;
  slots_busy: number;
  slots_total: number;
  counts: Counts;
  /** Tasks that failed for good in the last hour, and in the hour before. */
  failed: number;
  failed_before: number | null;
  stuck: Stuck;
  oldest_wait: OldestWait | null;
  /** Tasks brought to an end, per second, over the last minute. */
  finished_per_second: number;
  /** Engine processes heard from within 30 seconds. Without one nothing moves. */
  engines_online: number;
  /** The last 60 minutes, oldest first; the last one is not over. */
  series: SeriesPoint[];
  /** The first 8, problems first. */
  nodes: NodeListRow[];
  /** All of them, if there are more. */
  cells: NodeCell[];
  /** At most 10, most frequent first. */
  failures: FailureGroup[];
}

/** Why a queue hands out nothing. */
export interface Pause {
  by: string;
  reason: string;
  since: Time;
}

/** The nodes that are not disabled, and the slots of those that are online. */
export interface Pool {
  nodes_online: number;
  nodes_total: number;
  slots_busy: number;
  slots_total: number;
}

/** How far a running task is, in its own words. */
export interface Progress {
  /** 0.0 to 1.0, or None when unknown. */
  fraction: number | null;
  message: string;
  at: Time;
}

/** Everything about one queue; the document of the live topic `queue:<name>`. */
export interface QueueDetail {
  queue: QueueRow;
  created_at: Time;
  /** The last 60 minutes, oldest first; the last one is not over. */
  series: QueueMinutePoint[];
  /** Those that serve it, problems first, at most 50 of `nodes_matching`. */
  nodes: NodeListRow[];
  nodes_matching: number;
  /** Slots of those among them that are online and get work. */
  slots_busy: number;
  slots_total: number;
}

/** One minute of a queue. `depth`: ready tasks at its end; `oldest`: how long the first of them waited then. */
export interface QueueMinutePoint {
  minute: Time;
  submitted: number;
  ended: number;
  depth: number;
  /** In milliseconds. */
  oldest: number;
}

/** One queue in a list. */
export interface QueueRow {
  name: string;
  description: string;
  policy: string;
  /** Ready tasks. */
  depth: number;
  scheduled: number;
  active: number;
  /** Since when the longest-waiting ready task waits. */
  oldest_since: Time | null;
  /** Submitted, and brought to an end, in the last minute. */
  in_per_minute: number;
  out_per_minute: number;
  paused: Pause | null;
  /** Nodes that are online, wanted and serve it, by name: the first three, and how many more. */
  served_by: string[];
  served_by_more: number;
  /** Ready tasks at the end of each of the last 30 minutes, oldest first; the last one is now. */
  depth_history: number[];
}

/** The document of the live topic `queues`. */
export interface QueuesDocument {
  queues: QueueRow[];
}

/** A task that has to do with another, as of the moment at which the document was made. */
export interface RelatedTask {
  id: string;
  /** What it is to the other: retry_of, clone_of (those are where the other comes from), retry, clone. */
  relation: string;
  state: string;
  type: string;
  /** For the word of its state. */
  attempt: number;
  cancel_requested: boolean;
  created_at: Time;
}

/** Failures of the last hour of the same type and the same error, but for numbers in it. */
export interface SameCause {
  /** The newest 50. */
  count: number;
  is_more: boolean;
  /** In the search language: exactly these. */
  query: string;
}

/** A view of the list of tasks that somebody keeps by a name. */
export interface SavedViewRow {
  id: string;
  name: string;
  /** In the search language; "" for all tasks. */
  q: string;
  /** "" for the newest first. */
  sort: string;
  /** Names of columns with commas between; "" for the reader's own choice. */
  cols: string;
  owner: string;
  /** Whether everybody sees it. */
  shared: boolean;
  changed_at: Time;
}

/** Those of who asks, and those that others share. */
export interface SavedViews {
  views: SavedViewRow[];
}

/** The charts of a stretch of time. */
export interface Series {
  /** 15m, 1h, 6h, 24h or 7d: it moves with the clock; "" for one that stays. */
  range: string;
  start: Time;
  /** Where its last step ends; in the future if that is not over. */
  end: Time;
  step_seconds: number;
  /** Oldest first, one per step, without gaps. */
  points: SeriesPoint[];
  /** The queues in the points, deepest first, and how many are left out. */
  queues: string[];
  queues_omitted: number;
  /** Tasks that failed for good; in the range of the same length before it (None: not kept for so long). */
  failed: number;
  failed_before: number | null;
  /** At most 10, most frequent first. */
  failures: FailureGroup[];
}

/** One step of the charts: a minute unless the range is long. Percentiles are milliseconds, None without data. */
export interface SeriesPoint {
  /** When it begins. */
  minute: Time;
  succeeded: number;
  /** Ended for good in failure. */
  failed: number;
  /** Cancelled or expired. */
  other: number;
  /** Attempts that failed or were lost and are tried again. */
  retried: number;
  submitted: number;
  wait_p50: number | null;
  wait_p95: number | null;
  wait_p99: number | null;
  run_p50: number | null;
  run_p95: number | null;
  run_p99: number | null;
  /** Ready tasks at the end of the minute, for the queues that had any; at most 8 queues. In longer steps the most. */
  depth: Record<string, number>;
  /** For how long the first of them has waited then, in milliseconds, likewise. */
  oldest: Record<string, number>;
}

/** Tasks on nodes that do not get on. Each is counted once. */
export interface Stuck {
  /** Their node has not been heard from for too long: its lease is running out, or has run out. */
  on_silent_nodes: number;
  /** The one node that is silent so; None if there are none, or several. */
  node: string | null;
  /** Longer on a node than their attempt may take; at most 1,000. */
  overdue: number;
}

/** Everything about one task but its log lines. */
export interface TaskDetail {
  id: string;
  version: number;
  state: string;
  type: string;
  queue: string;
  node: string | null;
  attempt: number;
  counted_attempts: number;
  max_attempts: number;
  priority: number;
  tags: string[];
  submitted_by: string;
  cancel_requested: boolean;
  created_at: Time;
  run_at: Time | null;
  queued_at: Time | null;
  started_at: Time | null;
  finished_at: Time | null;
  wait_ms: number | null;
  run_ms: number | null;
  progress: Progress | null;
  error: string | null;
  labels: Record<string, string>;
  affinity_key: string;
  timeout_seconds: number | null;
  backoff_seconds: number;
  backoff_cap_seconds: number;
  dispatched_at: Time | null;
  /** Not started by then: expired. */
  expires_at: Time | null;
  /** No report of the current attempt by then: lost. */
  attempt_deadline: Time | null;
  cancel_requested_at: Time | null;
  retry_of: string | null;
  /** Tasks that are retries of this one, newest first, at most 20. */
  retries: string[];
  /** The task that this one is a changed copy of. */
  clone_of: string | null;
  /** Tasks that are changed copies of this one, newest first, at most 20. */
  clones: string[];
  /** JSON text, as submitted. */
  payload: string;
  /** JSON text, or None if there is none. */
  result: string | null;
  /** The last failure in full. */
  failure: ErrorDetail | null;
  /** Result or failure were cut to size. */
  truncated: boolean;
  /** What a node reported held what no row may hold; it was replaced. */
  sanitized: boolean;
  /** Payload, result, an error or a log line held secrets, which are masked here. */
  masked: boolean;
  /** The newest 50. */
  attempts: AttemptRow[];
  attempts_omitted: number;
}

/** The document of the live topic `task:<id>`. */
export interface TaskDocument {
  id: string;
  version: number;
  state: string;
  type: string;
  queue: string;
  node: string | null;
  attempt: number;
  counted_attempts: number;
  max_attempts: number;
  priority: number;
  tags: string[];
  submitted_by: string;
  cancel_requested: boolean;
  created_at: Time;
  run_at: Time | null;
  queued_at: Time | null;
  started_at: Time | null;
  finished_at: Time | null;
  wait_ms: number | null;
  run_ms: number | null;
  progress: Progress | null;
  error: string | null;
  labels: Record<string, string>;
  affinity_key: string;
  timeout_seconds: number | null;
  backoff_seconds: number;
  backoff_cap_seconds: number;
  dispatched_at: Time | null;
  expires_at: Time | null;
  attempt_deadline: Time | null;
  cancel_requested_at: Time | null;
  retry_of: string | null;
  retries: string[];
  clone_of: string | null;
  clones: string[];
  payload: string;
  result: string | null;
  failure: ErrorDetail | null;
  truncated: boolean;
  sanitized: boolean;
  masked: boolean;
  attempts: AttemptRow[];
  attempts_omitted: number;
  /** None unless the task is ready and waits for a node. */
  waiting: Waiting | null;
  /** None unless it is on a node. */
  holder: TaskHolder | null;
  /** What it was made from and what was made from it, at most 42. */
  related: RelatedTask[];
  /** Of a failed task: those that failed like it in the last hour, itself included; None if none but itself did. */
  same_cause: SameCause | null;
  /** The last 200 lines of all attempts, by attempt and n. */
  logs: LogLine[];
  /** The newest 50 attempts that wrote any, by attempt. */
  log_ends: LogEnd[];
}

/** One thing that happened to a task. */
export interface TaskEvent {
  /** Rises with time. */
  id: string;
  at: Time;
  /** created, queued, dispatched, started, retry_scheduled, cancel_requested, unmasked, or the outcome of an attempt
   * or of the task. */
  kind: string;
  /** minor, normal, good, warning or bad. */
  level: string;
  attempt: number | null;
  node: string | null;
  /** Who caused it, if a person or program did and the audit trail has it. */
  actor: string;
  /** The error's head, or the task that this one is a retry of. */
  detail: string;
  /** When the next attempt is due, or was. */
  until: Time | null;
}

/** What happened to a task, oldest first: the newest, or those before another page. */
export interface TaskEventsPage {
  events: TaskEvent[];
  /** Pass it as `before` for those before these; None if there are none. */
  before: string | null;
}

/** The node that has a task now, as far as the task's fate hangs on it. */
export interface TaskHolder {
  last_seen_at: Time | null;
  /** Not heard from by then: what it has is given to others. */
  lease_expires_at: Time | null;
  slots: number;
  /** Slots in use, by our own accounting. */
  busy: number;
}

/** A page of tasks, newest first. */
export interface TaskPage {
  rows: TaskRow[];
  /** Pass it as `after` for what follows; None at the end. A page may be short, or empty, and still have a next one:
   * each page looks through a bounded number of tasks. */
  next: string | null;
  /** All matching tasks with an id above this one were looked at; None when that is all there are. */
  searched_to: string | null;
}

/** One task in a list. */
export interface TaskRow {
  id: string;
  /** Rises with every transition; of two rows for the same task the one with the larger version is newer. */
  version: number;
  state: string;
  type: string;
  queue: string;
  /** Name of the node of the current or last attempt. */
  node: string | null;
  /** The fence: rises at every claim. */
  attempt: number;
  /** Attempts that count against max_attempts; "2/3" on the screen is counted_attempts/max_attempts. */
  counted_attempts: number;
  max_attempts: number;
  priority: number;
  tags: string[];
  submitted_by: string;
  cancel_requested: boolean;
  created_at: Time;
  /** When it is due; set while scheduled. */
  run_at: Time | null;
  queued_at: Time | null;
  started_at: Time | null;
  finished_at: Time | null;
  /** From ready to started, for the current attempt; None before the start is known. */
  wait_ms: number | null;
  /** From started to finished; None before the end. */
  run_ms: number | null;
  /** Only while active, and only of the current attempt. */
  progress: Progress | null;
  /** Type and first line of the last failure, at most 200 characters. */
  error: string | null;
}

/** The document of the live topic `tasks`. */
export interface TasksDocument {
  /** The tasks on the screen, newest first, also when they match the filters no longer. Deleted tasks leave. */
  rows: TaskRow[];
  /** Matching tasks that belong on this page and are not on it, at most 500. */
  new: number;
  new_is_capped: boolean;
  /** Tasks per state, for the filters queue and type; None with other filters than these and state. With one of
   * these two, active tasks are not told apart and count as running. */
  counts: Counts | null;
}

/** Everything about one type; the document of the live topic `type:<name>`. */
export interface TypeDetail {
  type: TypeLine;
  timeout_seconds: number | null;
  /** The JSON Schema that payloads are checked by: of most nodes that are online, else of the last that was. */
  schema: Record<string, unknown> | null;
  /** Why schemas that nodes sent are not used. */
  schema_errors: string[];
  /** Keywords of the schema that are not checked at submission. */
  unchecked: string[];
  /** By version. */
  offers: TypeOffer[];
  /** Queues in which its tasks were seen. */
  queues: string[];
  /** The last 60 minutes, oldest first; the last one is not over. Depths are not kept by type. */
  series: SeriesPoint[];
}

/** What a node says of one task type. */
export interface TypeInfo {
  name: string;
  version: string;
  description: string;
  timeout_seconds: number | null;
  schema: Record<string, unknown> | null;
}

/** One task type in a list, with its last hour. */
export interface TypeLine {
  name: string;
  description: string;
  /** Of the nodes that are online; more than one means that they differ. */
  versions: string[];
  has_schema: boolean;
  /** Nodes that are online advertise different schemas. */
  schemas_differ: boolean;
  /** Nodes that can run it, with those that take any type. */
  nodes_online: number;
  nodes_total: number;
  /** Tasks brought to an end in the last minute. */
  per_minute: number;
  succeeded_last_hour: number;
  failed_last_hour: number;
  /** Of the tasks that succeeded or failed in the last hour; None without any. */
  failed_share: number | null;
  /** Over the last hour, in ms; None without data. */
  wait_p95: number | null;
  run_p95: number | null;
  /** Tasks brought to an end in each of the last 60 minutes, oldest first; the last one is not over. */
  history: number[];
}

/** Nodes that advertise a type alike. */
export interface TypeOffer {
  key: string;
  version: string;
  /** Names the schema; "" for nodes without one. */
  schema: string;
  /** Payloads are checked by this schema. */
  is_used: boolean;
  /** Online, by name, at most 50. */
  nodes: string[];
  nodes_online: number;
  nodes_total: number;
}

/** One task type: advertised by nodes that are not offline, or seen on tasks. */
export interface TypeRow {
  name: string;
  description: string;
  timeout_seconds: number | null;
  /** JSON Schema of the payload, from the node that started last. */
  schema: Record<string, unknown> | null;
  /** Names of the nodes that run it; nodes that run any type are not listed. */
  nodes: string[];
  /** Versions that these nodes have; more than one means that they differ. */
  versions: string[];
  /** Queues in which tasks of this type were seen. */
  queues: string[];
}

/** The document of the live topic `types`. */
export interface TypesDocument {
  types: TypeLine[];
}

/** Why a ready task has not been given to a node yet. */
export interface Waiting {
  /** turn: nothing but others before it; transient: passes by itself; operator: somebody has to act; impossible: no
   * registered node can ever run it as declared. */
  kind: string;
  /** One sentence. */
  text: string;
  /** Where it would go now if it were its turn. */
  node: string | null;
  /** What holds on every node alike. */
  reasons: Obstacle[];
  /** At most 50, those that are closest to taking it first. */
  nodes: NodeObstacles[];
  nodes_omitted: number;
  /** What the sentence is made of, the most frequent first: for whoever says it in another language. */
  because: Cause[];
  /** What would keep it waiting besides. */
  besides: Cause[];
}

/** The topics that can be subscribed to. */
export type Topic = `activity:${string}` | `bulk` | `bulk:${string}` | `node:${string}` | `nodes` | `overview` | `queue:${string}` | `queues` | `task:${string}` | `tasks` | `type:${string}` | `types`;

/** The document of a topic. */
export type DocumentOf<T extends Topic> =
  T extends `activity:${string}` ? ActivityDocument :
  T extends `bulk` ? BulkPage :
  T extends `bulk:${string}` ? BulkDocument :
  T extends `node:${string}` ? NodeDetail :
  T extends `nodes` ? NodesDocument :
  T extends `overview` ? Overview :
  T extends `queue:${string}` ? QueueDetail :
  T extends `queues` ? QueuesDocument :
  T extends `task:${string}` ? TaskDocument :
  T extends `tasks` ? TasksDocument :
  T extends `type:${string}` ? TypeDetail :
  T extends `types` ? TypesDocument :
  never;

/** What changed in a list of rows; `key` names the member that tells them apart. */
export interface RowChanges {
  key: string;
  upsert: Record<string, unknown>[];
  remove: string[];
}

/** The first frame of a connection. */
export interface Welcome {
  type: "welcome";
  protocol: number;
  server_time: Time;
  epoch: string;
  version: string;
  ping_seconds: number;
  max_hz: number;
}

/** A whole document. */
export interface SnapshotFrame {
  type: "snapshot";
  topic: string;
  epoch: string;
  seq: number;
  reason: "sub" | "slow" | "visible";
  data: unknown;
}

/** What changed in a document. */
export interface DeltaFrame {
  type: "delta";
  topic: string;
  epoch: string;
  from: number;
  seq: number;
  data?: Record<string, unknown>;
  rows?: Record<string, RowChanges>;
}

/** What the browser knows of a topic is still all there is. */
export interface Resumed {
  type: "resumed";
  topic: string;
  seq: number;
}

/** What the topic was about exists no more. */
export interface GoneFrame {
  type: "gone";
  topic: string;
}

/** A subscription that did not come about, or has ended. */
export interface ErrorFrame {
  type: "error";
  topic: string;
  code: "unknown_topic" | "bad_params" | "not_found" | "too_many_topics" | "failed";
  message: string;
}

/** The answer to a ping. */
export interface Pong {
  type: "pong";
  t: number;
  server_time: Time;
}

/** What a page of tasks shows. Texts are checked when they are read. */
export interface TasksParams {
  filters?: Record<string, string>;
  ids?: string[];
  after?: string | null;
  /** In an order in which new tasks do not come first: they are those with an id above this one. */
  newest?: string | null;
  limit?: number;
}

/** How far a browser is in a topic, from an earlier connection. */
export interface Place {
  epoch: string;
  seq: number;
}

/** Wants a topic: what came after `known` if that can still be told, otherwise a snapshot; then deltas. */
export interface Sub {
  type: "sub";
  topic: string;
  params?: TasksParams | null;
  known?: Place | null;
}

/** Wants no more of a topic. */
export interface Unsub {
  type: "unsub";
  topic: string;
}

/** Somebody looks, or nobody does. */
export interface Visible {
  type: "visible";
  visible: boolean;
}

/** So many data frames have arrived on this connection. */
export interface Ack {
  type: "ack";
  n: number;
}

/** Asks for a pong with the same `t`. */
export interface Ping {
  type: "ping";
  t: number;
}

/** What the server sends. */
export type Frame = Welcome | SnapshotFrame | DeltaFrame | Resumed | GoneFrame | ErrorFrame | Pong;

/** What a tab sends. */
export type Message = Sub | Unsub | Visible | Ack | Ping;

/** One task's transition. Travels as an array, in this order; new fields go to the end. */
export type TaskChange = [number, number | null, number, number, number, number | null, string, number | null, number | null];

/** Tasks changed state, in one transaction. Written by every transition; read by roll-ups, engine and dashboard. */
export interface TasksChanged {
  kind: "tasks.changed";
  rows: TaskChange[];
  /** The bulk action that did it, which names who started it. */
  bulk?: number | null;
}

/** Finished tasks were deleted for their age: how many, per lane and state. */
export interface TasksPruned {
  kind: "tasks.pruned";
  /** [lane_id, state, count] */
  counts: [number, number, number][];
}

/** Someone asked to cancel tasks that a node holds; the node decides whether it is still in time. */
export interface TasksCancelRequested {
  kind: "tasks.cancel_requested";
  /** [task_id, attempt, node_id] */
  rows: [number, number, number][];
  /** The bulk action that did it, which names who started it. */
  bulk?: number | null;
}

/** Running tasks told how far they are: [task_id, attempt, fraction or None, message]. */
export interface TasksProgressed {
  kind: "tasks.progressed";
  rows: ([number, number, number | null, string])[];
}

/** Log lines arrived: [task_id, attempt, first n, last n]. */
export interface TasksLogged {
  kind: "tasks.logged";
  rows: [number, number, number, number][];
}

/** Someone looked at the secrets in a task's payload, result, errors or log. */
export interface TaskUnmasked {
  kind: "task.unmasked";
  task_id: number;
}

/** Results that came after another attempt had taken over: [task_id, attempt, node_id, outcome]. */
export interface ResultsRefused {
  kind: "results.refused";
  rows: [number, number, number, string][];
}

/** A node came up (a new boot) and said what it can do. */
export interface NodeRegistered {
  kind: "node.registered";
  node_id: number;
  name: string;
  reason?: string;
}

/** A silent node was heard from again. */
export interface NodeOnline {
  kind: "node.online";
  node_id: number;
  name: string;
  reason?: string;
}

/** A node has been silent for a while: it gets no new work. */
export interface NodeSuspected {
  kind: "node.suspected";
  node_id: number;
  name: string;
  reason?: string;
}

/** A node's lease ended: what it held goes to others. */
export interface NodeWentOffline {
  kind: "node.went_offline";
  node_id: number;
  name: string;
  reason?: string;
}

/** Someone (or the node itself) asked for a drain: no new work, finish what it holds. */
export interface NodeDraining {
  kind: "node.draining";
  node_id: number;
  name: string;
  reason?: string;
  /** So long it may take, and what happens to the rest then: it goes elsewhere, or is left alone. */
  deadline_seconds?: number | null;
  hand_back?: boolean | null;
}

/** A drained or disabled node takes work again. */
export interface NodeResumed {
  kind: "node.resumed";
  node_id: number;
  name: string;
  reason?: string;
}

/** A node was taken out of the pool; its requests are refused. */
export interface NodeDisabled {
  kind: "node.disabled";
  node_id: number;
  name: string;
  reason?: string;
}

/** The circuit breaker of a node opened, half-opened or closed; `reason` is the new state. */
export interface NodeBreakerChanged {
  kind: "node.breaker_changed";
  node_id: number;
  name: string;
  reason?: string;
}

/** Pushes to a node failed or it asked for a pause: no new work for `seconds`. */
export interface NodeHeld {
  kind: "node.held";
  node_id: number;
  name: string;
  reason?: string;
  seconds?: number;
}

/** A node reported the ends of attempts that it was never given. Told once a minute and node, with an example. */
export interface NodeMadeUpResults {
  kind: "node.made_up_results";
  node_id: number;
  name: string;
  reason?: string;
  task_id: number;
  attempt: number;
  /** In the report that is told of. */
  count: number;
}

/** Most nodes fell silent at once: nothing is requeued for one more grace period. Look at the network first. */
export interface PoolHeld {
  kind: "pool.held";
  silent: number;
  total: number;
}

/** A queue was made, by hand or by the first task for it. */
export interface QueueCreated {
  kind: "queue.created";
  queue: string;
  reason?: string;
}

/** A queue hands out no tasks until it is resumed. */
export interface QueuePaused {
  kind: "queue.paused";
  queue: string;
  reason?: string;
}

/** A paused queue hands out tasks again. */
export interface QueueResumed {
  kind: "queue.resumed";
  queue: string;
  reason?: string;
}

/** A queue's policy or description changed. */
export interface QueueEdited {
  kind: "queue.edited";
  queue: string;
  reason?: string;
}

/** A token was made. */
export interface CredentialIssued {
  kind: "credential.issued";
  sort?: string;
  prefix: string;
  label?: string;
}

/** A token was taken back. */
export interface CredentialRevoked {
  kind: "credential.revoked";
  sort?: string;
  prefix: string;
  label?: string;
}

/** Someone asked a node to fetch new credentials in place of those it has. */
export interface RotationRequested {
  kind: "credential.rotation_requested";
  node_id: number;
  name: string;
  reason?: string;
}

/** An account or a group was made. */
export interface AccountCreated {
  kind: "account.created";
  account_kind: string;
  name: string;
  reason?: string;
}

/** An account or a group was changed; `reason` names the fields, never what is in them. */
export interface AccountEdited {
  kind: "account.edited";
  account_kind: string;
  name: string;
  reason?: string;
}

/** An account or a group was deleted. */
export interface AccountDeleted {
  kind: "account.deleted";
  account_kind: string;
  name: string;
  reason?: string;
}

/** Someone began an action on all tasks that match. */
export interface BulkStarted {
  kind: "bulk.started";
  job_id: number;
  action: string;
  /** In the search language; "" for all tasks. */
  query: string;
  /** Only tasks up to this id. */
  newest_id: number;
  /** As counted at the start; None if there were too many to count. */
  expected?: number | null;
}

/** It does nothing until it is resumed. */
export interface BulkPaused {
  kind: "bulk.paused";
  job_id: number;
  action: string;
}

/** It goes on where it was. */
export interface BulkResumed {
  kind: "bulk.resumed";
  job_id: number;
  action: string;
}

/** All tasks that matched were dealt with. */
export interface BulkFinished {
  kind: "bulk.finished";
  job_id: number;
  action: string;
  done: number;
  skipped: number;
  failed: number;
  reason?: string;
}

/** Someone stopped it; what was done stays done. */
export interface BulkCancelled {
  kind: "bulk.cancelled";
  job_id: number;
  action: string;
  done: number;
  skipped: number;
  failed: number;
  reason?: string;
}

/** It could not go on; `reason` says why. */
export interface BulkFailed {
  kind: "bulk.failed";
  job_id: number;
  action: string;
  done: number;
  skipped: number;
  failed: number;
  reason?: string;
}

/** Somebody saved a view. */
export interface ViewSaved {
  kind: "view.saved";
  view_id: number;
  name: string;
  shared?: boolean;
}

/** Its owner changed what it shows, what it is called or whom it is for. */
export interface ViewEdited {
  kind: "view.edited";
  view_id: number;
  name: string;
  shared?: boolean;
}

/** Its owner, or an admin, deleted it. */
export interface ViewDeleted {
  kind: "view.deleted";
  view_id: number;
  name: string;
  shared?: boolean;
}

/** What can happen. */
export type FeedEvent =
  | TasksChanged
  | TasksPruned
  | TasksCancelRequested
  | TasksProgressed
  | TasksLogged
  | TaskUnmasked
  | ResultsRefused
  | NodeRegistered
  | NodeOnline
  | NodeSuspected
  | NodeWentOffline
  | NodeDraining
  | NodeResumed
  | NodeDisabled
  | NodeBreakerChanged
  | NodeHeld
  | NodeMadeUpResults
  | PoolHeld
  | QueueCreated
  | QueuePaused
  | QueueResumed
  | QueueEdited
  | CredentialIssued
  | CredentialRevoked
  | RotationRequested
  | AccountCreated
  | AccountEdited
  | AccountDeleted
  | BulkStarted
  | BulkPaused
  | BulkResumed
  | BulkFinished
  | BulkCancelled
  | BulkFailed
  | ViewSaved
  | ViewEdited
  | ViewDeleted;

export type EventKind = FeedEvent["kind"];
