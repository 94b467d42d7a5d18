/** Plain numbers that the hot path adds to; `getMetrics()` copies them. */
export class ConsumerCounters {
  records = 0 // whose callback has returned, skipped ones included
  bytes = 0 // of fetched batches, headers included
  callbackErrors = 0
  retries = 0
  skipped = 0
  deadLetters = 0 // records written to a dead-letter topic, acknowledged
  dedupHits = 0 // records not handed out because they were seen before
  fetches = 0
  fetchErrors = 0
  staleAnswers = 0 // partitions of answers that came too late
  corruptBatches = 0
  fullSessions = 0 // requests that had to name every partition
  rebalances = 0 // assignments that the group gave
  commits = 0 // that the coordinator has stored
  commitFailures = 0
}
