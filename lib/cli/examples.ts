/** What `--help` shows below the options: commands that work as they stand. */
const SECRETS = `
Secrets: words of a command line are visible to everybody on the machine. Give passwords by TANDEM_SASL_PASSWORD or
TANDEM_SASL_PASSWORD_FILE, tokens by TANDEM_SASL_TOKEN_FILE, or write them into the file of -F.
`

const WAL_EXITS = `Exit codes of wal: 0 clean, 1 only what a crash leaves at the end, 2 damage, 3 missing or unreadable, 4 locked by its owner,
5 the command line is wrong, 6 not finished: records are left, or it was stopped.
`

export const EXAMPLES = {
  program: `
Examples:
  echo 'hello' | tandem-mq produce -b localhost:9092 -t orders
  tandem-mq consume -b localhost:9092 -t orders -e
  tandem-mq -C -b localhost:9092 -t orders -o -10 -f '%t [%p] %o: %k = %s\\n'
  tandem-mq groups describe billing --json
  tandem-mq broker --port 9092 -t orders:6

Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong; wal has its own.
${SECRETS}`,
  produce: `
Examples:
  printf 'a\\nb\\n' | tandem-mq produce -t orders
  echo 'customer-7:{"total":12}' | tandem-mq produce -t orders -K: -H source=shop
  tandem-mq produce -t files picture.png            the whole file as one record
  tandem-mq produce -t orders -l lines.txt -z zstd  each line a record
  tandem-mq consume -t old -e --json | tandem-mq produce -t new --from-json
${SECRETS}`,
  consume: `
Examples:
  tandem-mq consume -t orders -e                    from the beginning to the end
  tandem-mq consume -t orders -p 0 -o -10 -c 10     the last ten of partition 0
  tandem-mq consume -t orders -o s@2026-01-31T00:00:00Z -o e@2026-02-01T00:00:00Z
  tandem-mq consume -G billing orders '^audit-'     as a member of a group; commits what it printed
  tandem-mq consume -t orders -f '%t\\t%p\\t%o\\t%k\\t%s\\n'
${SECRETS}`,
  metadata: `
Example:
  tandem-mq metadata -t orders
`,
  offsets: `
Examples:
  tandem-mq offsets -t orders:0:1767225600000       the first record at or after that time
  tandem-mq offsets -t orders:0:-1                  the end; -2 the beginning
`,
  topics: `
Examples:
  tandem-mq topics list
  tandem-mq topics create orders events --partitions 6 --set retention.ms=604800000
  tandem-mq topics describe orders --json
  tandem-mq topics alter orders --set retention.ms=3600000 --unset segment.ms --partitions 12
  tandem-mq topics delete orders --if-exists
`,
  groups: `
Examples:
  tandem-mq groups list --state Stable
  tandem-mq groups describe billing --members
  tandem-mq groups reset billing -t orders --to s@2026-01-31T00:00:00Z --dry-run
  tandem-mq groups delete billing
`,
  ping: `
Examples:
  tandem-mq ping -b localhost:9092
  tandem-mq ping -c 5 --interval 200
`,
  broker: `
Examples:
  tandem-mq broker -t orders:6 -t events
  tandem-mq broker --nodes 3 --port 0 --json
`,
  gateway: `
Examples:
  tandem-mq gateway -b localhost:9092 --publish 'chat-*' --subscribe 'chat-*' --origin https://chat.example
  tandem-mq gateway --tcp 127.0.0.1:8081 --token-file tokens        only TCP, and only who is named
  tandem-mq gateway --listen :8443 --tls-cert cert.pem --tls-key key.pem --token-file tokens --origin https://chat.example
  tandem-mq gateway --subscribe news --pages ./web --dashboard      for pages of its own, on this machine

Without --publish, --subscribe or --token-file nobody may do anything, and it does not start.
${SECRETS}`,
  wal: `
Examples:
  tandem-mq wal inspect --dir ./orders.wal          what is in it; also beside the producer that writes it
  tandem-mq wal verify --dir ./orders.wal           every checksum; tells what is damaged, and where
  tandem-mq wal recover --dir ./orders.wal -b localhost:9092
  tandem-mq wal repair --dir ./orders.wal --quarantine

${WAL_EXITS}`,
  inspect: `
Examples:
  tandem-mq wal inspect --dir ./orders.wal
  tandem-mq wal inspect --dir ./orders.wal --json | jq '.streams[] | select(.inDoubt.batches > 0)'

Takes no lock and changes nothing.
${WAL_EXITS}`,
  verify: `
Examples:
  tandem-mq wal verify --dir ./orders.wal
  tandem-mq wal verify --dir /backup/orders.wal --json

Takes no lock and changes nothing. Reads every byte; beside a producer that writes, the end is looked at again before it
is called torn.
${WAL_EXITS}`,
  recover: `
Examples:
  tandem-mq wal recover --dir ./orders.wal                         only the files: cuts a torn tail, tells what is left
  tandem-mq wal recover --dir ./orders.wal -b localhost:9092       delivers what is in it
  tandem-mq wal recover --dir ./orders.wal -b localhost:9092 --on-ambiguous resend --stream orders:3
  tandem-mq wal recover --dir ./orders.wal --export orders.jsonl   the records as JSON lines; nothing is sent or settled

Takes the lock: the producer of the directory must not run.
${WAL_EXITS}${SECRETS}`,
  repair: `
Examples:
  tandem-mq wal repair --dir ./orders.wal --quarantine             what would be done
  tandem-mq wal repair --dir ./orders.wal --quarantine --apply     gives up damaged ranges, after copying them
  tandem-mq wal repair --dir ./orders.wal --rebuild-manifest --apply
  tandem-mq wal repair --dir ./orders.wal --accept-missing 7 --apply
  tandem-mq wal repair --dir ./orders.wal --relock --apply         after a move to another system

Without --apply nothing is changed. With it, copies of what is changed are in quarantine/ before anything is.
${WAL_EXITS}`,
  bench: `
Examples:
  tandem-mq bench                                   on an embedded broker, in the same process
  tandem-mq bench -b localhost:9092 --records 5000000 --size 1000 -z zstd
`,
} as const
