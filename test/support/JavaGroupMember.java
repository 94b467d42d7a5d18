/*
 * A member of a group as Java's consumer is one, for tests of mixed groups: says on standard output what it owns and
 * when, and leaves when anything comes on standard input. Run as a single source file with the jars of Kafka on the class path:
 *
 *   java -cp "<jars>/*" test/support/JavaGroupMember.java <bootstrap> <group> <topic> <assignor class>
 *
 * Lines: assigned|revoked|lost <ms since 1970> <topic>-<partition>,...
 */
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class JavaGroupMember {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("group.id", args[1]);
        settings.put("partition.assignment.strategy", args[3]);
        settings.put("heartbeat.interval.ms", "200");
        settings.put("session.timeout.ms", "10000");
        settings.put("auto.offset.reset", "earliest");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[2]), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    say("assigned", partitions);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    say("revoked", partitions);
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    say("lost", partitions);
                }
            });
            while (System.in.available() == 0) consumer.poll(Duration.ofMillis(50));
        }
    }

    private static void say(String what, Collection<TopicPartition> partitions) {
        String names = partitions.stream().map(TopicPartition::toString).collect(Collectors.joining(","));
        System.out.println(what + " " + System.currentTimeMillis() + " " + names);
        System.out.flush();
    }
}
