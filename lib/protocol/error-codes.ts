/**
 * Every error number a broker may answer: its name, our code for it, and the class of what helps.
 * Why one table: a number is looked up here and nowhere else. What to do in a given place (a produce answer, a fetch,
 * a group) is decided by the judge of that place; this table knows names, and what a caller gets to see.
 * Invariant: complete from -1 to 133 (Apache Kafka 4.1.1); a number beyond is not retryable, and is shown.
 * Source: features.md section 4 (codes), kafka.md 3.4 and 5 (classes).
 */
import { type ErrorCode, type ErrorContext, type ErrorReason, MQError } from '../errors/index.js'
import { adviceOn, permissionIn, placeIn } from './error-advice.js'

/**
 * What helps: `retry` the same later, `refresh` metadata and ask the right broker, look up the `coordinator` again,
 * or nothing (`fatal`: for this request; the client itself may go on). `none` is number 0.
 */
export type KafkaErrorKind = 'none' | 'retry' | 'refresh' | 'coordinator' | 'fatal'

export interface KafkaError {
  readonly number: number
  /** Kafka's name; `UNKNOWN_<number>` for a number this version does not know. */
  readonly name: string
  /** Our code; null: that of the operation (PRODUCE_FAILED, CONSUME_FAILED, ...). */
  readonly mqCode: ErrorCode | null
  readonly kind: KafkaErrorKind
  /** What an MQError made from it says: the same call may succeed later, after our own retries ended. */
  readonly retryable: boolean
}

type Row = readonly [number: number, name: string, kind: KafkaErrorKind, mqCode?: ErrorCode]

const ROWS: readonly Row[] = [
  [-1, 'UNKNOWN_SERVER_ERROR', 'retry'],
  [0, 'NONE', 'none'],
  [1, 'OFFSET_OUT_OF_RANGE', 'fatal', 'INVALID_OFFSET'],
  [2, 'CORRUPT_MESSAGE', 'retry'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'refresh', 'TOPIC_NOT_FOUND'],
  [4, 'INVALID_FETCH_SIZE', 'fatal'],
  [5, 'LEADER_NOT_AVAILABLE', 'refresh'],
  [6, 'NOT_LEADER_OR_FOLLOWER', 'refresh'],
  [7, 'REQUEST_TIMED_OUT', 'retry', 'TIMEOUT'],
  [8, 'BROKER_NOT_AVAILABLE', 'refresh'],
  [9, 'REPLICA_NOT_AVAILABLE', 'refresh'],
  [10, 'MESSAGE_TOO_LARGE', 'fatal', 'MESSAGE_TOO_LARGE'],
  [11, 'STALE_CONTROLLER_EPOCH', 'fatal'],
  [12, 'OFFSET_METADATA_TOO_LARGE', 'fatal', 'OFFSET_COMMIT_FAILED'],
  [13, 'NETWORK_EXCEPTION', 'refresh', 'CONNECTION_FAILED'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS', 'retry', 'GROUP_COORDINATOR_NOT_FOUND'],
  [15, 'COORDINATOR_NOT_AVAILABLE', 'coordinator', 'GROUP_COORDINATOR_NOT_FOUND'],
  [16, 'NOT_COORDINATOR', 'coordinator', 'GROUP_COORDINATOR_NOT_FOUND'],
  [17, 'INVALID_TOPIC_EXCEPTION', 'fatal', 'INVALID_TOPIC'],
  [18, 'RECORD_LIST_TOO_LARGE', 'fatal', 'MESSAGE_TOO_LARGE'],
  [19, 'NOT_ENOUGH_REPLICAS', 'retry'],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'retry'],
  [21, 'INVALID_REQUIRED_ACKS', 'fatal'],
  [22, 'ILLEGAL_GENERATION', 'fatal', 'ILLEGAL_GENERATION'],
  [23, 'INCONSISTENT_GROUP_PROTOCOL', 'fatal', 'INCONSISTENT_GROUP_PROTOCOL'],
  [24, 'INVALID_GROUP_ID', 'fatal', 'INVALID_CONFIG'],
  [25, 'UNKNOWN_MEMBER_ID', 'fatal', 'UNKNOWN_MEMBER_ID'],
  [26, 'INVALID_SESSION_TIMEOUT', 'fatal', 'INVALID_SESSION_TIMEOUT'],
  [27, 'REBALANCE_IN_PROGRESS', 'retry', 'REBALANCE_IN_PROGRESS'],
  [28, 'INVALID_COMMIT_OFFSET_SIZE', 'fatal', 'OFFSET_COMMIT_FAILED'],
  [29, 'TOPIC_AUTHORIZATION_FAILED', 'fatal', 'AUTHORIZATION_FAILED'],
  [30, 'GROUP_AUTHORIZATION_FAILED', 'fatal', 'AUTHORIZATION_FAILED'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED', 'fatal', 'AUTHORIZATION_FAILED'],
  [32, 'INVALID_TIMESTAMP', 'fatal'],
  [33, 'UNSUPPORTED_SASL_MECHANISM', 'fatal', 'AUTHENTICATION_FAILED'],
  [34, 'ILLEGAL_SASL_STATE', 'fatal', 'AUTHENTICATION_FAILED'],
  [35, 'UNSUPPORTED_VERSION', 'fatal'],
  [36, 'TOPIC_ALREADY_EXISTS', 'fatal'],
  [37, 'INVALID_PARTITIONS', 'fatal', 'INVALID_PARTITION'],
  [38, 'INVALID_REPLICATION_FACTOR', 'fatal', 'INVALID_CONFIG'],
  [39, 'INVALID_REPLICA_ASSIGNMENT', 'fatal'],
  [40, 'INVALID_CONFIG', 'fatal', 'INVALID_CONFIG'],
  [41, 'NOT_CONTROLLER', 'refresh'],
  [42, 'INVALID_REQUEST', 'fatal'],
  [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'fatal'],
  [44, 'POLICY_VIOLATION', 'fatal'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'fatal'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER', 'fatal'],
  [47, 'INVALID_PRODUCER_EPOCH', 'fatal'],
  [48, 'INVALID_TXN_STATE', 'fatal'],
  [49, 'INVALID_PRODUCER_ID_MAPPING', 'fatal'],
  [50, 'INVALID_TRANSACTION_TIMEOUT', 'fatal'],
  [51, 'CONCURRENT_TRANSACTIONS', 'retry'],
  [52, 'TRANSACTION_COORDINATOR_FENCED', 'fatal'],
  [53, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'fatal', 'AUTHORIZATION_FAILED'],
  [54, 'SECURITY_DISABLED', 'fatal'],
  [55, 'OPERATION_NOT_ATTEMPTED', 'retry'],
  [56, 'KAFKA_STORAGE_ERROR', 'refresh'],
  [57, 'LOG_DIR_NOT_FOUND', 'fatal'],
  [58, 'SASL_AUTHENTICATION_FAILED', 'fatal', 'AUTHENTICATION_FAILED'],
  [59, 'UNKNOWN_PRODUCER_ID', 'fatal'],
  [60, 'REASSIGNMENT_IN_PROGRESS', 'fatal'],
  [61, 'DELEGATION_TOKEN_AUTH_DISABLED', 'fatal'],
  [62, 'DELEGATION_TOKEN_NOT_FOUND', 'fatal'],
  [63, 'DELEGATION_TOKEN_OWNER_MISMATCH', 'fatal'],
  [64, 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED', 'fatal'],
  [65, 'DELEGATION_TOKEN_AUTHORIZATION_FAILED', 'fatal'],
  [66, 'DELEGATION_TOKEN_EXPIRED', 'fatal'],
  [67, 'INVALID_PRINCIPAL_TYPE', 'fatal'],
  [68, 'NON_EMPTY_GROUP', 'fatal'],
  [69, 'GROUP_ID_NOT_FOUND', 'fatal'],
  [70, 'FETCH_SESSION_ID_NOT_FOUND', 'retry'],
  [71, 'INVALID_FETCH_SESSION_EPOCH', 'retry'],
  [72, 'LISTENER_NOT_FOUND', 'refresh'],
  [73, 'TOPIC_DELETION_DISABLED', 'fatal'],
  [74, 'FENCED_LEADER_EPOCH', 'refresh'],
  [75, 'UNKNOWN_LEADER_EPOCH', 'retry'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE', 'fatal', 'COMPRESSION_FAILED'],
  [77, 'STALE_BROKER_EPOCH', 'fatal'],
  [78, 'OFFSET_NOT_AVAILABLE', 'retry'],
  [79, 'MEMBER_ID_REQUIRED', 'fatal'],
  [80, 'PREFERRED_LEADER_NOT_AVAILABLE', 'retry'],
  [81, 'GROUP_MAX_SIZE_REACHED', 'fatal'],
  [82, 'FENCED_INSTANCE_ID', 'fatal', 'UNKNOWN_MEMBER_ID'],
  [83, 'ELIGIBLE_LEADERS_NOT_AVAILABLE', 'retry'],
  [84, 'ELECTION_NOT_NEEDED', 'fatal'],
  [85, 'NO_REASSIGNMENT_IN_PROGRESS', 'fatal'],
  [86, 'GROUP_SUBSCRIBED_TO_TOPIC', 'fatal'],
  [87, 'INVALID_RECORD', 'fatal'],
  [88, 'UNSTABLE_OFFSET_COMMIT', 'retry'],
  [89, 'THROTTLING_QUOTA_EXCEEDED', 'retry'],
  [90, 'PRODUCER_FENCED', 'fatal'],
  [91, 'RESOURCE_NOT_FOUND', 'fatal'],
  [92, 'DUPLICATE_RESOURCE', 'fatal'],
  [93, 'UNACCEPTABLE_CREDENTIAL', 'fatal'],
  [94, 'INCONSISTENT_VOTER_SET', 'fatal'],
  [95, 'INVALID_UPDATE_VERSION', 'fatal'],
  [96, 'FEATURE_UPDATE_FAILED', 'fatal'],
  [97, 'PRINCIPAL_DESERIALIZATION_FAILURE', 'fatal'],
  [98, 'SNAPSHOT_NOT_FOUND', 'fatal'],
  [99, 'POSITION_OUT_OF_RANGE', 'fatal'],
  [100, 'UNKNOWN_TOPIC_ID', 'refresh', 'TOPIC_NOT_FOUND'],
  [101, 'DUPLICATE_BROKER_REGISTRATION', 'fatal'],
  [102, 'BROKER_ID_NOT_REGISTERED', 'fatal'],
  [103, 'INCONSISTENT_TOPIC_ID', 'refresh'],
  [104, 'INCONSISTENT_CLUSTER_ID', 'fatal'],
  [105, 'TRANSACTIONAL_ID_NOT_FOUND', 'fatal'],
  [106, 'FETCH_SESSION_TOPIC_ID_ERROR', 'retry'],
  [107, 'INELIGIBLE_REPLICA', 'fatal'],
  [108, 'NEW_LEADER_ELECTED', 'fatal'],
  [109, 'OFFSET_MOVED_TO_TIERED_STORAGE', 'retry'],
  [110, 'FENCED_MEMBER_EPOCH', 'fatal', 'ILLEGAL_GENERATION'],
  [111, 'UNRELEASED_INSTANCE_ID', 'fatal'],
  [112, 'UNSUPPORTED_ASSIGNOR', 'fatal', 'INCONSISTENT_GROUP_PROTOCOL'],
  [113, 'STALE_MEMBER_EPOCH', 'fatal', 'ILLEGAL_GENERATION'],
  [114, 'MISMATCHED_ENDPOINT_TYPE', 'fatal'],
  [115, 'UNSUPPORTED_ENDPOINT_TYPE', 'fatal'],
  [116, 'UNKNOWN_CONTROLLER_ID', 'fatal'],
  [117, 'UNKNOWN_SUBSCRIPTION_ID', 'fatal'],
  [118, 'TELEMETRY_TOO_LARGE', 'fatal'],
  [119, 'INVALID_REGISTRATION', 'fatal'],
  [120, 'TRANSACTION_ABORTABLE', 'fatal'],
  [121, 'INVALID_RECORD_STATE', 'fatal'],
  [122, 'SHARE_SESSION_NOT_FOUND', 'retry'],
  [123, 'INVALID_SHARE_SESSION_EPOCH', 'retry'],
  [124, 'FENCED_STATE_EPOCH', 'fatal'],
  [125, 'INVALID_VOTER_KEY', 'fatal'],
  [126, 'DUPLICATE_VOTER', 'fatal'],
  [127, 'VOTER_NOT_FOUND', 'fatal'],
  [128, 'INVALID_REGULAR_EXPRESSION', 'fatal'],
  [129, 'REBOOTSTRAP_REQUIRED', 'refresh'],
  [130, 'STREAMS_INVALID_TOPOLOGY', 'fatal'],
  [131, 'STREAMS_INVALID_TOPOLOGY_EPOCH', 'fatal'],
  [132, 'STREAMS_TOPOLOGY_FENCED', 'fatal'],
  [133, 'SHARE_SESSION_LIMIT_REACHED', 'retry'],
]

/** Retryable for the caller although their code alone is not: the cluster is about to mend itself. */
const RETRYABLE = new Set([2, 5, 6, 8, 9, 14, 15, 16, 19, 20, 56, 74, 75])
/** Codes that are retryable by themselves. */
const RETRYABLE_CODES = new Set<ErrorCode>(['TIMEOUT', 'CONNECTION_FAILED', 'REBALANCE_IN_PROGRESS'])
/** Numbers with a finer word of ours. */
const REASONS: Readonly<Record<number, ErrorReason>> = { 1: 'OFFSET_OUT_OF_RANGE', 35: 'UNSUPPORTED_VERSION' }

const table: ReadonlyMap<number, KafkaError> = new Map(
  ROWS.map(([number, name, kind, mqCode = null]) => {
    const retryable = RETRYABLE.has(number) || (mqCode !== null && RETRYABLE_CODES.has(mqCode))
    return [number, Object.freeze({ number, name, mqCode, kind, retryable })]
  }),
)

/** The entry of an error number. A number beyond the table is final and keeps its number in its name. */
export function kafkaError(number: number): KafkaError {
  return table.get(number) ?? { number, name: `UNKNOWN_${number}`, mqCode: null, kind: 'fatal', retryable: false }
}

/**
 * An MQError from a broker's answer. `operation` is the code where the table leaves it to the operation;
 * `brokerMessage` is what the broker said, if it said anything; else the text says what to do. The context gets
 * `kafkaCode` and `kafkaName`, and for a missing permission `resource` and `operation`, which is
 * `needs` where the request takes another one than records do.
 */
export function brokerError(
  number: number,
  operation: ErrorCode,
  brokerMessage: string | null = null,
  context: ErrorContext = {},
  needs?: string,
): MQError {
  const { name, mqCode, retryable } = kafkaError(number)
  const reason = REASONS[number]
  const known = {
    ...(reason === undefined ? {} : { reason }),
    ...context,
    ...permissionIn(number, operation, context, needs),
  }
  const words = brokerMessage === null || brokerMessage === '' ? adviceOn(number, known) : brokerMessage
  return new MQError(
    mqCode ?? operation,
    `the broker answered ${number} ${name}${placeIn(context)}${words === null ? '' : `: ${words}`}`,
    { ...known, kafkaCode: number, kafkaName: name },
    { retryable },
  )
}
