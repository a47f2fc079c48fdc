// Holds a flow of `deploy/nifi` against the classes of a NiFi version, and runs it against real gateways:
//   java -cp … Nifi.java FLOW VERSION all|stand-in|provider
// `stand-in`: a class of this file takes the place of the token provider, which Maven Central does not have
// for NiFi 1.28. `provider`: only the token provider's properties. Prints a line for each check.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.nifi.annotation.lifecycle.OnEnabled;
import org.apache.nifi.components.ConfigurableComponent;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.Validator;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.controller.ConfigurationContext;
import org.apache.nifi.controller.ControllerService;
import org.apache.nifi.oauth2.AccessToken;
import org.apache.nifi.oauth2.OAuth2AccessTokenProvider;
import org.apache.nifi.processor.Processor;
import org.apache.nifi.processor.Relationship;
import org.apache.nifi.processor.exception.ProcessException;
import org.apache.nifi.registry.flow.RegisteredFlowSnapshot;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;

public class Nifi {
    /** Properties that a user adds, for each type that takes any. */
    static final Map<String, Set<String>> ADDED = Map.of(
            "InvokeHTTP", Set.of("Idempotency-Key"),
            "UpdateAttribute", Set.of("mime.type", "idempotency.key"),
            "RouteOnAttribute", Set.of("token at fault"));

    /** NiFi 2.4 renamed the token provider's properties; Maven Central has no newer class than 2.3's. */
    static final Map<String, String> OLD_PROVIDER_NAMES = Map.of(
            "Authorization Server URL", "authorization-server-url",
            "Client Authentication Strategy", "client-authentication-strategy",
            "Grant Type", "grant-type",
            "Client ID", "client-id",
            "Client secret", "client-secret",
            "Refresh Window", "refresh-window");

    static final Set<TestRunner> SCHEDULED = new HashSet<>();
    static JsonNode flow;
    static String name;
    static boolean isStandIn;
    static int failed;

    interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode document = new ObjectMapper().readTree(Path.of(arguments[0]).toFile());
        flow = document.get("flowContents");
        name = arguments[1];
        isStandIn = arguments[2].equals("stand-in");
        if (arguments[2].equals("provider")) {
            check("the token provider's properties and values are the class's", () -> components("controllerServices"));
            System.exit(failed == 0 ? 0 : 1);
        }
        check("the file is what NiFi's import reads, to the last field", () -> reads(Path.of(arguments[0])));
        check("every type, property, value and relationship is the class's", () -> components("processors"));
        if (!isStandIn) {
            check("the token provider's properties and values are the class's", () -> components("controllerServices"));
        }
        check("every connection leads somewhere, and every relationship is dealt with", Nifi::connections);
        check("every parameter is in the context, and no secret is in the file", () -> parameters(document));
        check("records are merged to lines, published with a token and answered 200", Nifi::publishes);
        if (!isStandIn) {
            check("the token is renewed a minute before it expires", Nifi::renews);
        }
        check("503 and no answer go to Retry and Failure, then round again, then to the dead ends", Nifi::outage);
        check("what the gateway refuses goes to No Retry with its message, and to the dead ends", Nifi::refused);
        check("tokens expire on the way, answers are cut, requests repeated: every record is there once", Nifi::spoiled);
        System.exit(failed == 0 ? 0 : 1);
    }

    static void check(String what, Check check) {
        try {
            check.run();
            System.out.println("ok      NiFi " + name + ": " + what);
        } catch (Throwable error) {
            failed++;
            System.out.println("FAILED  NiFi " + name + ": " + what);
            error.printStackTrace(System.out);
        }
    }

    static void reads(Path file) throws Exception {
        // Jackson refuses fields and constants that are unknown.
        RegisteredFlowSnapshot snapshot = new ObjectMapper().readValue(file.toFile(), RegisteredFlowSnapshot.class);
        hold(snapshot.getFlowContents().getProcessors().size() == flow.get("processors").size(), "the processors");
        hold(snapshot.getParameterContexts().containsKey(snapshot.getFlowContents().getParameterContextName()),
                "the parameter context");
    }

    static void components(String list) throws Exception {
        boolean isNew = !name.startsWith("1.");
        for (JsonNode service : all("controllerServices")) {
            service.get("properties").fieldNames().forEachRemaining(property ->
                    hold(isNew == OLD_PROVIDER_NAMES.containsKey(property), property + " is of another version"));
        }
        for (JsonNode component : all(list)) {
            ConfigurableComponent real = make(component);
            Set<String> supported = new HashSet<>();
            for (PropertyDescriptor descriptor : real.getPropertyDescriptors()) {
                supported.add(descriptor.getName());
            }
            properties(component, Map.of()).forEach((property, value) -> {
                Set<String> added = ADDED.getOrDefault(real.getClass().getSimpleName(), Set.of());
                hold(supported.contains(property) || added.contains(property), "unknown property: " + property);
                PropertyDescriptor descriptor = real.getPropertyDescriptor(property);
                hold(descriptor.getAllowableValues() == null
                        || descriptor.getAllowableValues().stream().anyMatch(it -> it.getValue().equals(value)),
                        property + " does not take " + value);
                hold(!descriptor.isSensitive() || value.startsWith("#{"), property + " is a secret");
            });
            hold(component.get("bundle").get("version").asText().equals(name), "the bundle's version");
        }
    }

    static void connections() throws Exception {
        Map<String, Set<String>> dealtWith = new HashMap<>();
        Set<String> known = new HashSet<>();
        for (JsonNode component : all("processors", "inputPorts", "outputPorts")) {
            known.add(component.get("identifier").asText());
        }
        for (JsonNode connection : all("connections")) {
            String from = connection.get("source").get("id").asText();
            hold(known.contains(from) && known.contains(connection.get("destination").get("id").asText()), "an end");
            connection.get("selectedRelationships")
                    .forEach(it -> dealtWith.computeIfAbsent(from, key -> new HashSet<>()).add(it.asText()));
        }
        for (JsonNode component : all("processors")) {
            Set<String> real = new HashSet<>();
            for (Relationship relationship : runner(component, Map.of()).getProcessor().getRelationships()) {
                real.add(relationship.getName());
            }
            Set<String> told = dealtWith.get(component.get("identifier").asText());
            component.get("retriedRelationships").forEach(it -> hold(real.contains(it.asText()), "retried " + it));
            component.get("autoTerminatedRelationships").forEach(it -> told.add(it.asText()));
            hold(told.equals(real), component.get("name") + ": " + told + ", and the class has " + real);
        }
    }

    static void parameters(JsonNode document) {
        JsonNode context = document.get("parameterContexts").get(flow.get("parameterContextName").asText());
        Set<String> known = new HashSet<>();
        context.get("parameters").forEach(it -> {
            known.add(it.get("name").asText());
            hold(!it.get("sensitive").asBoolean() || !it.has("value"), "a secret");
        });
        var references = java.util.regex.Pattern.compile("#\\{([^}]*)}").matcher(flow.toString());
        while (references.find()) {
            hold(known.contains(references.group(1)), references.group());
        }
    }

    static void publishes() throws Exception {
        MockFlowFile batch = batch("acme", 3);
        hold(batch.getContent().lines().count() == 3, batch.getContent());
        hold(batch.getAttribute("idempotency.key").equals(batch.getAttribute("uuid")), "the key");
        TestRunner publish = publisher(System.getenv("IEM_URL"));
        send(publish, batch, "Original");
        String marker = batch.getAttribute("marker");
        hold(sink(Path.of(System.getenv("IEM_HOME"), "data")).filter(it -> it.contains(marker)).count() == 3,
                "three records in the sink");
    }

    static void renews() throws Exception {
        // Its tokens last 75 s: with the flow's window of 60 s each is renewed after 15 s.
        TestRunner publish = publisher(System.getenv("IEM_URL_SHORT"));
        String first = provider(publish).getAccessDetails().getAccessToken();
        long began = System.nanoTime();
        hold(first.equals(provider(publish).getAccessDetails().getAccessToken()), "a token is used again");
        while (first.equals(provider(publish).getAccessDetails().getAccessToken())) {
            hold(System.nanoTime() - began < 70_000_000_000L, "a new token before the old one expires");
            Thread.sleep(200);
        }
        send(publish, batch("acme", 1), "Original");
    }

    static void outage() throws Exception {
        MockFlowFile batch = batch("acme", 1);
        TestRunner away = publisher(System.getenv("IEM_URL_AWAY"));
        MockFlowFile again = send(away, batch, "Retry");
        hold("503".equals(again.getAttribute("invokehttp.status.code")), "503");
        TestRunner dead = publisher(System.getenv("IEM_URL"));
        // The gateway gave a token and is gone.
        provider(dead).getAccessDetails();
        dead.setProperty(property("HTTP URL", "Remote URL"), "http://127.0.0.1:1/publish/allevents/");
        again = send(dead, again, "Failure");
        hold(again.getAttribute("idempotency.key").equals(batch.getAttribute("idempotency.key")), "the same key");

        TestRunner wait = runner(named("Wait longer"), Map.of());
        int rounds = 0;
        do {
            wait.clearTransferState();
            wait.enqueue(again.toByteArray(), again.getAttributes());
            wait.run();
            var looped = wait.getFlowFilesForRelationship("retry");
            if (looped.isEmpty()) {
                break;
            }
            again = looped.get(0);
            hold(again.isPenalized(), "a pause");
        } while (++rounds < 100);
        hold(rounds == 12, rounds + " rounds");
        wait.assertAllFlowFilesTransferred("retries_exceeded", 1);
    }

    static void refused() throws Exception {
        TestRunner publish = publisher(System.getenv("IEM_URL"));
        MockFlowFile refused = send(publish, batch("globex", 1), "No Retry");
        hold("401".equals(refused.getAttribute("invokehttp.status.code")), "401");
        hold(refused.getAttribute("invokehttp.response.body").contains("User is not associated with the customer"),
                refused.getAttribute("invokehttp.response.body"));
        hold(route(refused).equals("unmatched"), "a dead end");
    }

    /** A relay spoils requests, and each batch goes through the flow until it is answered 200. */
    static void spoiled() throws Exception {
        TestRunner publish = publisher(System.getenv("IEM_URL_SPOILED"));
        List<String> sent = new ArrayList<>();
        for (int index = 0; index < 6; index++) {
            MockFlowFile batch = batch("acme", 3);
            batch.getContent().lines().forEach(sent::add);
            deliver(publish, batch);
            // A NiFi that ends before it has kept the outcome sends the batch again.
            deliver(publish, batch);
        }
        List<String> done = Files.readAllLines(Path.of(System.getenv("IEM_SPOILED_LOG")));
        for (String fault : List.of("expire /publish/allevents/ 401", "before /publish/allevents/ 200",
                "within /publish/allevents/ 200", "before /oauth2/token 200")) {
            hold(done.contains(fault), "nothing was spoiled by " + fault);
        }
        List<JsonNode> lines = new ArrayList<>();
        for (String line : sink(Path.of(System.getenv("IEM_SPOILED_DATA"))).toList()) {
            lines.add(new ObjectMapper().readTree(line));
        }
        hold(lines.stream().map(it -> it.get("id")).distinct().count() == sent.size(), "every record by its id");
        List<String> found = lines.stream().map(it -> it.get("data").toString()).sorted().toList();
        hold(found.equals(sent.stream().sorted().toList()), "every record once: " + found);
    }

    /** Takes a batch round the flow until it is answered 200. */
    static void deliver(TestRunner publish, MockFlowFile file) throws Exception {
        String key = file.getAttribute("idempotency.key");
        String relationship = invoke(publish, file);
        for (int attempt = 1; !relationship.equals("Original"); attempt++) {
            hold(attempt < 20, "given up: " + file.getAttributes());
            file = publish.getFlowFilesForRelationship(relationship).get(0);
            hold(!relationship.equals("No Retry") || route(file).equals("token at fault"), "a dead end: " + file.getAttributes());
            hold(key.equals(file.getAttribute("idempotency.key")), "the same key");
            relationship = invoke(publish, file);
        }
    }

    /** The relationship to which the flow routes what the gateway refused. */
    static String route(MockFlowFile refused) throws Exception {
        TestRunner route = runner(named("Token at fault?"), Map.of());
        route.enqueue(refused.toByteArray(), refused.getAttributes());
        route.run();
        return route.getFlowFilesForRelationship("unmatched").isEmpty() ? "token at fault" : "unmatched";
    }

    /** What leaves the first two processors when records enter the flow. */
    static MockFlowFile batch(String customer, int count) throws Exception {
        TestRunner merge = runner(named("Merge to lines"), Map.of());
        merge.setProperty("Minimum Number of Entries", String.valueOf(count));
        merge.setProperty("Maximum Number of Entries", String.valueOf(count));
        String marker = "nifi-" + System.nanoTime();
        for (int index = 0; index < count; index++) {
            merge.enqueue("{\"envcustomerid\":\"" + customer + "\",\"ieventid\":\"" + marker + "-" + index + "\"}");
        }
        merge.run();
        merge.assertTransferCount("merged", 1);
        TestRunner naming = runner(named("Name type and key"), Map.of());
        MockFlowFile merged = merge.getFlowFilesForRelationship("merged").get(0);
        Map<String, String> told = new HashMap<>(merged.getAttributes());
        told.put("marker", marker);
        naming.enqueue(merged.toByteArray(), told);
        naming.run();
        MockFlowFile named = naming.getFlowFilesForRelationship("success").get(0);
        hold("application/x-ndjson".equals(named.getAttribute("mime.type")), "the type");
        return named;
    }

    /** The processor that publishes, with its token provider, both as the flow configures them. */
    static TestRunner publisher(String url) throws Exception {
        Map<String, String> given = Map.of("iem.url", url, "iem.kind", "allevents",
                "iem.user", System.getenv("IEM_USER"), "iem.password", System.getenv("IEM_PASSWORD"));
        TestRunner publish = runner(named("Publish"), given);
        JsonNode service = flow.get("controllerServices").get(0);
        ControllerService provider = (ControllerService) make(service);
        publish.addControllerService(service.get("identifier").asText(), provider);
        properties(service, given).forEach((key, value) -> publish.setProperty(provider, key, value));
        publish.assertValid(provider);
        publish.enableControllerService(provider);
        publish.assertValid();
        return publish;
    }

    static OAuth2AccessTokenProvider provider(TestRunner publish) {
        String id = flow.get("controllerServices").get(0).get("identifier").asText();
        return publish.getControllerService(id, OAuth2AccessTokenProvider.class);
    }

    /** Runs the processor once, and returns what it sent to the relationship, which has to be all. */
    static MockFlowFile send(TestRunner publish, MockFlowFile file, String relationship) {
        String other = invoke(publish, file);
        hold(other.equals(relationship), "sent to " + other + publish.getLogger().getErrorMessages());
        return publish.getFlowFilesForRelationship(relationship).get(0);
    }

    /** Runs the processor once, and returns the only relationship to which it sent the file. */
    static String invoke(TestRunner publish, MockFlowFile file) {
        publish.clearTransferState();
        publish.enqueue(file.toByteArray(), file.getAttributes());
        // NiFi schedules a processor once, and lets it run many times.
        publish.run(1, false, SCHEDULED.add(publish));
        List<String> taken = Stream.of("Original", "Retry", "No Retry", "Failure")
                .filter(it -> !publish.getFlowFilesForRelationship(it).isEmpty())
                .toList();
        hold(taken.size() == 1 && publish.getFlowFilesForRelationship(taken.get(0)).size() == 1, "sent to " + taken);
        return taken.get(0);
    }

    static Stream<String> sink(Path data) throws Exception {
        List<String> lines = new ArrayList<>();
        try (var files = Files.newDirectoryStream(data.resolve("events"), "*ndjson*")) {
            for (Path file : files) {
                lines.addAll(Files.readAllLines(file));
            }
        }
        return lines.stream();
    }

    static TestRunner runner(JsonNode component, Map<String, String> given) throws Exception {
        TestRunner runner = TestRunners.newTestRunner((Processor) make(component));
        properties(component, given).forEach(runner::setProperty);
        return runner;
    }

    static ConfigurableComponent make(JsonNode component) throws Exception {
        if (isStandIn && component.get("componentType").asText().equals("CONTROLLER_SERVICE")) {
            return new TokenProvider();
        }
        Class<?> type = Class.forName(component.get("type").asText());
        ConfigurableComponent made = (ConfigurableComponent) type.getDeclaredConstructor().newInstance();
        if (made instanceof Processor) {
            TestRunners.newTestRunner((Processor) made);
        }
        return made;
    }

    static Map<String, String> properties(JsonNode component, Map<String, String> given) {
        boolean isProvider = component.get("componentType").asText().equals("CONTROLLER_SERVICE");
        Map<String, String> properties = new HashMap<>();
        component.get("properties").fields().forEachRemaining(entry -> {
            String value = entry.getValue().asText();
            for (var parameter : given.entrySet()) {
                value = value.replace("#{" + parameter.getKey() + "}", parameter.getValue());
            }
            String key = entry.getKey();
            properties.put(isProvider ? OLD_PROVIDER_NAMES.getOrDefault(key, key) : key, value);
        });
        return properties;
    }

    static String property(String newer, String older) throws Exception {
        return named("Publish").get("properties").has(newer) ? newer : older;
    }

    static JsonNode named(String wanted) {
        for (JsonNode processor : flow.get("processors")) {
            if (processor.get("name").asText().equals(wanted)) {
                return processor;
            }
        }
        throw new AssertionError("no processor " + wanted);
    }

    static List<JsonNode> all(String... lists) {
        List<JsonNode> all = new ArrayList<>();
        for (String list : lists) {
            flow.get(list).forEach(all::add);
        }
        return all;
    }

    /** The token provider, as far as the flow uses it. It asks the gateway for a token each time. */
    public static class TokenProvider extends AbstractControllerService implements OAuth2AccessTokenProvider {
        ConfigurationContext context;

        @Override
        protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
            return OLD_PROVIDER_NAMES.values().stream()
                    .map(it -> new PropertyDescriptor.Builder().name(it).addValidator(Validator.VALID).build())
                    .collect(Collectors.toList());
        }

        @Override
        public AccessToken getAccessDetails() {
            String credentials = value("client-id") + ":" + value("client-secret");
            HttpRequest request = HttpRequest.newBuilder(URI.create(value("authorization-server-url")))
                    .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes()))
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .POST(HttpRequest.BodyPublishers.ofString("grant_type=" + value("grant-type")))
                    .build();
            try {
                String told = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
                JsonNode granted = new ObjectMapper().readTree(told);
                return new AccessToken(granted.get("access_token").asText(), null, "Bearer", 3600, null);
            } catch (Exception error) {
                throw new ProcessException(error);
            }
        }

        @OnEnabled
        public void enable(ConfigurationContext context) {
            this.context = context;
        }

        String value(String property) {
            return context.getProperty(getPropertyDescriptor(property)).getValue();
        }
    }

    static void hold(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
