/**
 * Names of other clients, as types: so that a configuration that is carried over compiles before it is renamed.
 * Why written down although the field tables have them: types cannot be read out of run-time rows; a test compares
 * both. Aliases of a field in a group stand inside the group and beside it. Source: features.md part 3, CF-2.
 */
export interface ClientAliases {
  bootstrapServers: 'brokers'
  clientID: 'clientId'
  SSL: 'ssl'
  SASL: 'sasl'
  poolConfig: 'pool'
}

/** By group: its fields' other names. */
export interface GroupAliases {
  connection: {
    dialTimeout: 'dialTimeoutMs'
    readTimeout: 'readTimeoutMs'
    writeTimeout: 'writeTimeoutMs'
    keepAlive: 'keepAliveMs'
  }
  ssl: { tls: 'enabled' }
  performance: { targetLatencyMicros: 'targetLatencyMs' }
  pool: {
    minIdleConnections: 'minIdle'
    maxIdleConnections: 'maxIdle'
    connectionMaxLifetime: 'connectionMaxLifetimeMs'
    connectionMaxIdleTime: 'connectionMaxIdleMs'
    healthCheckInterval: 'healthCheckIntervalMs'
  }
  wal: {
    walSyncMode: 'durability'
    walPath: 'dir'
    walMaxSize: 'maxBytes'
    walSyncInterval: 'syncIntervalMs'
  }
  metrics: { enableMetrics: 'enabled'; metricsPrefix: 'prefix' }
  monitoring: { metricsInterval: 'intervalMs' }
}

export interface ProducerAliases {
  requiredAcks: 'acks'
  enableIdempotence: 'idempotence'
  maxInFlightRequests: 'maxInFlight'
  maxInFlightPerBroker: 'maxInFlight'
  linger: 'lingerMs'
  batchSize: 'batchBytes'
  maxMessageBytes: 'maxBatchBytes'
  maxBatchCount: 'batchMaxRecords'
  maxBufferedBytes: 'bufferMemoryBytes'
  maxBufferedRecords: 'bufferMaxRecords'
  memorySize: 'bufferMaxRecords'
  requestTimeout: 'requestTimeoutMs'
  deliveryTimeout: 'deliveryTimeoutMs'
  retries: 'maxRetries'
  retryBackoff: 'retryBackoffMs'
}

export interface ConsumerAliases {
  groupID: 'groupId'
  enableAutoCommit: 'autoCommit'
  autoCommitInterval: 'autoCommitIntervalMs'
  sessionTimeout: 'sessionTimeoutMs'
  heartbeatInterval: 'heartbeatIntervalMs'
  maxPollInterval: 'maxPollIntervalMs'
  fetchMaxWait: 'fetchMaxWaitMs'
}
