/*
 * Writes what Java's assignors and Java's ConsumerProtocol make of generated inputs: test/fixtures/assignors.json.
 * Why: a group shared with Java needs the same bytes and, where members may differ in who leads, equal results.
 * Needs Java 17 and the jars of Kafka 4.1 (scripts/kafka downloads them into .kafka/lib):
 *
 *   java -cp "${TANDEM_KAFKA_LIB:-.kafka/lib}/*" scripts/assignors/AssignorVectors.java > test/fixtures/assignors.json
 *
 * The output depends on the seed below and on the version of the jars only.
 */
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.utils.AppInfoParser;

public class AssignorVectors {
    private static final long SEED = 20_240_229;
    private static final int CHAINS_OF_EACH_KIND = 12;
    private static final int STEPS = 5;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Random RANDOM = new Random(SEED);

    /** A member between two rounds. */
    private static final class Member {
        final String id;
        final String instance;
        Set<String> topics;
        List<TopicPartition> owned = List.of();
        int generation = -1;

        Member(String id, String instance, Set<String> topics) {
            this.id = id;
            this.instance = instance;
            this.topics = topics;
        }
    }

    public static void main(String[] args) throws Exception {
        ObjectNode root = JSON.createObjectNode();
        root.put("kafka", AppInfoParser.getVersion());
        ArrayNode cases = root.putArray("cases");
        for (String kind : List.of("equal", "unequal", "claims"))
            for (int chain = 0; chain < CHAINS_OF_EACH_KIND; chain++) chain(kind, cases);
        subscriptions(root.putArray("subscriptions"));
        assignments(root.putArray("assignments"));
        // One line per case, so that a change of the fixture can be read.
        System.out.println(root.toString().replace("},{\"kind\"", "},\n{\"kind\"").replace("},{\"version\"", "},\n{\"version\""));
    }

    /** Some rounds of one group: members come and go, topics grow; each round starts from the last one's result. */
    private static void chain(String kind, ArrayNode cases) {
        Map<String, Integer> topics = new TreeMap<>();
        for (int i = 1 + RANDOM.nextInt(4); i > 0; i--) topics.put("t" + i, 1 + RANDOM.nextInt(9));
        List<Member> members = new ArrayList<>();
        for (int i = 1 + RANDOM.nextInt(5); i > 0; i--) members.add(newMember(kind, members, topics));
        for (int step = 0; step < STEPS; step++) {
            if (step > 0) mutate(kind, members, topics);
            Map<String, List<TopicPartition>> next = addCase(kind, members, topics, cases);
            for (Member member : members) {
                member.owned = next.get(member.id);
                member.generation = step + 1;
            }
        }
    }

    private static Member newMember(String kind, List<Member> members, Map<String, Integer> topics) {
        Set<String> subscribed = new TreeSet<>(topics.keySet());
        if (kind.equals("unequal")) subscribed.removeIf(topic -> RANDOM.nextInt(3) == 0);
        if (subscribed.isEmpty()) subscribed.add("t1");
        String id = "m" + (char) ('a' + RANDOM.nextInt(26)) + members.size() + RANDOM.nextInt(1000);
        return new Member(id, RANDOM.nextInt(5) == 0 ? "z" + RANDOM.nextInt(1000) : null, subscribed);
    }

    private static void mutate(String kind, List<Member> members, Map<String, Integer> topics) {
        int what = RANDOM.nextInt(5);
        if (what <= 1) for (int i = 1 + RANDOM.nextInt(2); i > 0; i--) members.add(newMember(kind, members, topics));
        else if (what == 2 && members.size() > 1) members.remove(RANDOM.nextInt(members.size()));
        else if (what == 3) topics.merge("t1", 1 + RANDOM.nextInt(6), Integer::sum);
        else if (kind.equals("unequal")) {
            Member member = members.get(RANDOM.nextInt(members.size()));
            member.topics = newMember(kind, members, topics).topics;
            member.owned = member.owned.stream().filter(tp -> member.topics.contains(tp.topic())).toList();
        }
        if (kind.equals("claims")) disturb(members);
    }

    /** One member missed a round, or two say that they own the same. */
    private static void disturb(List<Member> members) {
        Member some = members.get(RANDOM.nextInt(members.size()));
        Member other = members.get(RANDOM.nextInt(members.size()));
        if (some.generation < 0 || some == other) return;
        if (RANDOM.nextBoolean()) some.generation--;
        if (RANDOM.nextBoolean() || other.owned.isEmpty()) return;
        List<TopicPartition> both = new ArrayList<>(some.owned);
        for (TopicPartition tp : other.owned) if (!both.contains(tp) && RANDOM.nextInt(3) > 0) both.add(tp);
        some.owned = both;
    }

    /** Returns the sticky assignment, which the next round starts from. */
    private static Map<String, List<TopicPartition>> addCase(
            String kind, List<Member> members, Map<String, Integer> topics, ArrayNode cases) {
        ObjectNode node = cases.addObject();
        node.put("kind", kind);
        ObjectNode topicsNode = node.putObject("topics");
        topics.forEach(topicsNode::put);
        ArrayNode membersNode = node.putArray("members");
        for (Member member : members) {
            ObjectNode memberNode = membersNode.addObject();
            memberNode.put("id", member.id);
            if (member.instance != null) memberNode.put("instance", member.instance);
            ArrayNode subscribed = memberNode.putArray("topics");
            member.topics.forEach(subscribed::add);
            if (!member.owned.isEmpty()) memberNode.set("owned", byTopic(member.owned));
            memberNode.put("generation", member.generation);
        }
        if (kind.equals("equal") || kind.equals("unequal")) {
            node.set("range", perMember(assign(new RangeAssignor(), members, topics)));
            node.set("roundrobin", perMember(assign(new RoundRobinAssignor(), members, topics)));
        }
        Map<String, List<TopicPartition>> sticky = assign(new StickyAssignor(), members, topics);
        node.set("sticky", summary(members, sticky));
        ArrayNode rounds = node.putArray("cooperative");
        List<Member> now = members;
        for (int round = 0; round < 2; round++) {
            Map<String, List<TopicPartition>> given = assign(new CooperativeStickyAssignor(), now, topics);
            rounds.add(summary(members, given));
            now = after(now, given);
        }
        return sticky;
    }

    private static List<Member> after(List<Member> members, Map<String, List<TopicPartition>> given) {
        int generation = members.stream().mapToInt(member -> member.generation).max().orElse(0) + 1;
        List<Member> next = new ArrayList<>();
        for (Member member : members) {
            Member copy = new Member(member.id, member.instance, member.topics);
            copy.owned = given.get(member.id);
            copy.generation = generation;
            next.add(copy);
        }
        return next;
    }

    private static Map<String, List<TopicPartition>> assign(
            ConsumerPartitionAssignor assignor, List<Member> members, Map<String, Integer> topics) {
        Map<String, Subscription> subscriptions = new TreeMap<>();
        for (Member member : members) subscriptions.put(member.id, subscriptionOf(assignor, member));
        Map<String, List<TopicPartition>> given = new TreeMap<>();
        assignor.assign(clusterOf(topics), new GroupSubscription(subscriptions)).groupAssignment()
            .forEach((id, assignment) -> given.put(id, assignment.partitions()));
        return given;
    }

    /** The sticky assignor reads what was owned from its user data, the cooperative one from the subscription. */
    private static Subscription subscriptionOf(ConsumerPartitionAssignor assignor, Member member) {
        boolean isSticky = assignor instanceof StickyAssignor;
        Subscription subscription = new Subscription(
            new ArrayList<>(member.topics),
            isSticky ? stickyData(member.owned, member.generation) : null,
            isSticky ? List.of() : member.owned,
            member.generation,
            Optional.empty());
        subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
        return subscription;
    }

    private static ByteBuffer stickyData(List<TopicPartition> owned, int generation) {
        if (generation < 0) return null;
        StickyAssignor own = new StickyAssignor();
        own.onAssignment(new Assignment(owned), new ConsumerGroupMetadata("g", generation, "m", Optional.empty()));
        return own.subscriptionUserData(Set.of());
    }

    private static Cluster clusterOf(Map<String, Integer> topics) {
        Node node = new Node(1, "localhost", 9092);
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.forEach((topic, count) -> {
            for (int p = 0; p < count; p++)
                partitions.add(new PartitionInfo(topic, p, node, new Node[] {node}, new Node[] {node}));
        });
        return new Cluster("c", List.of(node), partitions, Set.of(), Set.of());
    }

    /** Sizes, and how many partitions stay with the member whose claim is the only one of its generation or newer. */
    private static ObjectNode summary(List<Member> members, Map<String, List<TopicPartition>> given) {
        List<Integer> sizes = new ArrayList<>();
        int kept = 0;
        for (Member member : members) {
            Set<TopicPartition> now = new HashSet<>(given.get(member.id));
            sizes.add(now.size());
            now.retainAll(member.owned);
            for (Member other : members)
                if (other != member && other.generation >= member.generation) now.removeAll(new HashSet<>(other.owned));
            kept += now.size();
        }
        Collections.sort(sizes);
        ObjectNode node = JSON.createObjectNode();
        ArrayNode sizesNode = node.putArray("sizes");
        sizes.forEach(sizesNode::add);
        node.put("kept", kept);
        return node;
    }

    private static ObjectNode perMember(Map<String, List<TopicPartition>> given) {
        ObjectNode node = JSON.createObjectNode();
        given.forEach((id, partitions) -> node.set(id, byTopic(partitions)));
        return node;
    }

    private static ObjectNode byTopic(List<TopicPartition> partitions) {
        Map<String, TreeSet<Integer>> sorted = new TreeMap<>();
        for (TopicPartition tp : partitions) sorted.computeIfAbsent(tp.topic(), topic -> new TreeSet<>()).add(tp.partition());
        ObjectNode node = JSON.createObjectNode();
        sorted.forEach((topic, numbers) -> {
            ArrayNode list = node.putArray(topic);
            numbers.forEach(list::add);
        });
        return node;
    }

    private static void subscriptions(ArrayNode nodes) {
        for (int i = 0; i < 6; i++) {
            Member member = new Member("m", null, i == 0 ? Set.of() : new TreeSet<>(List.of("zebra", "alpha", "ütopic")));
            member.generation = i == 0 ? -1 : i * 1_000_003;
            member.owned = i < 2 ? List.of() : List.of(tp("zebra", 300), tp("alpha", 7), tp("zebra", 2));
            String rack = i % 2 == 0 ? "rack-" + i : null;
            ByteBuffer userData = i == 3 ? stickyData(member.owned, 42) : i == 4 ? cooperativeData(43) : i == 5 ? ByteBuffer.allocate(0) : null;
            for (short version = 0; version <= 3; version++) {
                Subscription subscription = new Subscription(new ArrayList<>(member.topics), duplicate(userData),
                    member.owned, member.generation, Optional.ofNullable(rack));
                ObjectNode node = nodes.addObject();
                node.put("version", version);
                ArrayNode topics = node.putArray("topics");
                member.topics.forEach(topics::add);
                node.set("owned", byTopic(member.owned));
                node.put("generation", member.generation);
                node.put("rack", rack);
                node.put("userData", userData == null ? null : hex(duplicate(userData)));
                node.put("userDataOf", i == 3 ? "sticky" : i == 4 ? "cooperative-sticky" : null);
                node.put("hex", hex(ConsumerProtocol.serializeSubscription(subscription, version)));
            }
        }
    }

    private static ByteBuffer cooperativeData(int generation) {
        CooperativeStickyAssignor own = new CooperativeStickyAssignor();
        own.onAssignment(new Assignment(List.of()), new ConsumerGroupMetadata("g", generation, "m", Optional.empty()));
        return own.subscriptionUserData(Set.of());
    }

    private static void assignments(ArrayNode nodes) {
        List<List<TopicPartition>> lists = List.of(
            List.of(), List.of(tp("t", 0)), List.of(tp("zebra", 3), tp("zebra", 1), tp("alpha", 2_000_000_000), tp("zebra", 2)));
        for (List<TopicPartition> list : lists) {
            for (short version = 0; version <= 3; version++) {
                ObjectNode node = nodes.addObject();
                node.put("version", version);
                ArrayNode partitions = node.putArray("partitions");
                list.forEach(tp -> partitions.addArray().add(tp.topic()).add(tp.partition()));
                node.put("hex", hex(ConsumerProtocol.serializeAssignment(new Assignment(list), version)));
            }
        }
    }

    private static TopicPartition tp(String topic, int partition) {
        return new TopicPartition(topic, partition);
    }

    private static ByteBuffer duplicate(ByteBuffer bytes) {
        return bytes == null ? null : bytes.duplicate();
    }

    private static String hex(ByteBuffer bytes) {
        StringBuilder text = new StringBuilder();
        while (bytes.hasRemaining()) text.append(String.format("%02x", bytes.get()));
        return text.toString();
    }
}
