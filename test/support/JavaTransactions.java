/*
 * Transactions of several producers, interleaved over the partitions of one topic by a seed, and what Java's own consumer
 * makes of them. Run as a single source file with the jars of Kafka on the class path:
 *
 *   java -cp "<jars>/*" test/support/JavaTransactions.java <bootstrap> <topic> <partitions> <seed> <steps>
 *
 * Lines: sent <partition> <offset> <value>       a record of any producer, in whatever transaction
 *        committed <partition> <offset> <value>  what a read_committed consumer sees of all partitions, in order
 *        end <partition> <last stable offset>
 *        open, closed                            one transaction is open still: anything on standard input commits it
 */
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class JavaTransactions {
    private static final int PRODUCERS = 4;

    private final String bootstrap;
    private final String topic;
    private final int partitions;
    private final Random random;
    private final List<KafkaProducer<String, String>> producers = new ArrayList<>();
    private final boolean[] isOpen = new boolean[PRODUCERS];
    private final KafkaProducer<String, String> plain;
    private int count = 0;

    private JavaTransactions(String[] args) {
        bootstrap = args[0];
        topic = args[1];
        partitions = Integer.parseInt(args[2]);
        random = new Random(Long.parseLong(args[3]));
        for (int n = 0; n < PRODUCERS; n++) {
            Properties settings = settings();
            settings.put("transactional.id", topic + "-" + n);
            KafkaProducer<String, String> made =
                    new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
            made.initTransactions();
            producers.add(made);
        }
        plain = new KafkaProducer<>(settings(), new StringSerializer(), new StringSerializer());
    }

    public static void main(String[] args) throws Exception {
        JavaTransactions run = new JavaTransactions(args);
        for (int step = Integer.parseInt(args[4]); step > 0; step--) run.step();
        run.leaveOneOpen();
        run.readCommitted();
        say("open");
        while (System.in.available() == 0) Thread.sleep(20);
        for (int n = 0; n < PRODUCERS; n++) if (run.isOpen[n]) run.producers.get(n).commitTransaction();
        run.readCommitted();
        say("closed");
        for (KafkaProducer<String, String> producer : run.producers) producer.close();
        run.plain.close();
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("compression.type", random.nextBoolean() ? "lz4" : "none");
        settings.put("linger.ms", "0");
        return settings;
    }

    private void step() throws Exception {
        int n = random.nextInt(PRODUCERS + 1);
        if (n == PRODUCERS) {
            send(plain, 1 + random.nextInt(2));
            return;
        }
        KafkaProducer<String, String> producer = producers.get(n);
        int what = isOpen[n] ? random.nextInt(4) : -1;
        if (what == 0) producer.commitTransaction();
        else if (what == 1) producer.abortTransaction();
        else {
            if (!isOpen[n]) producer.beginTransaction();
            send(producer, 1 + random.nextInt(4));
        }
        isOpen[n] = what != 0 && what != 1;
    }

    /** The first producer's, so that everything behind its records waits for it. */
    private void leaveOneOpen() throws Exception {
        for (int n = 1; n < PRODUCERS; n++) {
            if (!isOpen[n]) continue;
            if (n % 2 == 0) producers.get(n).commitTransaction();
            else producers.get(n).abortTransaction();
            isOpen[n] = false;
        }
        if (!isOpen[0]) producers.get(0).beginTransaction();
        isOpen[0] = true;
        send(producers.get(0), 2);
        send(plain, 2 * partitions);
    }

    private void send(KafkaProducer<String, String> producer, int records) throws Exception {
        for (int n = 0; n < records; n++) {
            String value = "value " + count++;
            ProducerRecord<String, String> record = new ProducerRecord<>(topic, random.nextInt(partitions), null, value);
            long offset = producer.send(record).get().offset();
            say("sent " + record.partition() + " " + offset + " " + value);
        }
    }

    private void readCommitted() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", "read_committed");
        settings.put("enable.auto.commit", "false");
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            for (int partition = 0; partition < partitions; partition++) {
                TopicPartition tp = new TopicPartition(topic, partition);
                consumer.assign(List.of(tp));
                consumer.seekToBeginning(List.of(tp));
                Map<TopicPartition, Long> ends = consumer.endOffsets(List.of(tp));
                while (consumer.position(tp) < ends.get(tp)) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                        say("committed " + partition + " " + record.offset() + " " + record.value());
                    }
                }
                say("end " + partition + " " + ends.get(tp));
            }
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
