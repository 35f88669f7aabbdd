/**
 * The few messages that TensorFlow's distributed runtime is started with, as bytes: a part of
 * ConfigProto (tensorflow/core/protobuf/config.proto) and ServerDef
 * (tensorflow/core/protobuf/tensorflow_server.proto). Their fields are numbered as there.
 */

/** The addresses `host:port` of all workers, in their order, and the place of this one. */
export type Cluster = Readonly<{ addresses: readonly string[]; index: number }>;

export type Timeouts = Readonly<{
  /** How long a worker waits at the start for the others. */
  startSeconds: number;
  /** A worker that was not heard of for so long counts as lost. */
  heartbeatSeconds: number;
}>;

/** TensorFlow's name of a worker. */
export function taskName(index: number): string {
  return `/job:${JOB}/replica:0/task:${index}`;
}

const JOB = "worker";
const encoder = new TextEncoder();

/** ConfigProto: who leads the group, and the service that watches over its members. */
export function clusterConfig(
  { addresses }: Cluster,
  { startSeconds, heartbeatSeconds }: Timeouts,
): Uint8Array<ArrayBuffer> {
  const leader = taskName(0);
  const coordination = [
    ...text(1, "standalone"), // service_type
    ...text(2, leader), // service_leader
    ...number(3, 1), // enable_health_check
    ...number(4, 1000 * startSeconds), // cluster_register_timeout_in_ms
    ...number(5, 1000 * heartbeatSeconds), // heartbeat_timeout_in_ms
    ...message(10, [...text(1, JOB), ...number(2, addresses.length)]), // coordinated_job_list
    ...number(14, 1), // cluster_register_with_barrier: a worker that is missing is named
  ];
  const experimental = [
    ...text(1, leader), // collective_group_leader
    ...number(4, CHUNK_BYTES), // recv_buf_max_chunk
    ...message(23, coordination), // coordination_config
  ];
  return Uint8Array.from(message(16, experimental));
}

/** ServerDef: all addresses, and which of them is this process's. */
export function serverDef(
  cluster: Cluster,
  config: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const tasks = cluster.addresses.flatMap((address, index) =>
    message(2, [...number(1, index), ...text(2, address)])
  );
  return Uint8Array.from([
    ...message(1, message(1, [...text(1, JOB), ...tasks])), // cluster
    ...text(2, JOB), // job_name
    ...number(3, cluster.index), // task_index
    ...message(4, [...config]), // default_session_config
    ...text(5, "grpc"), // protocol
  ]);
}

/** The largest part of a tensor that is sent in one piece. */
const CHUNK_BYTES = 4 << 20;

function variableLength(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128);
  return [...bytes, rest];
}

function number(field: number, value: number): number[] {
  return [...variableLength(field << 3), ...variableLength(value)];
}

function message(field: number, bytes: readonly number[]): number[] {
  return [...variableLength(field << 3 | 2), ...variableLength(bytes.length), ...bytes];
}

function text(field: number, value: string): number[] {
  return message(field, [...encoder.encode(value)]);
}
