import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.nifi.processor.Relationship;
import org.apache.nifi.processors.standard.InvokeHTTP;
import org.apache.nifi.reporting.InitializationException;
import org.apache.nifi.ssl.StandardSSLContextService;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;

/**
 * Posts flow files one after another by NiFi's InvokeHTTP, first over HTTP/1.1 and then over HTTP/2.
 * Prints a line for each relationship that a flow file was routed to: its number, the version of
 * HTTP, the status and the relationship. Arguments: the authority's certificate, and for each flow
 * file a URL, a token, and a record or a number of zeros.
 */
public class Invoke {
    private static final String PASSWORD = "of a trust store in a test";

    public static void main(String[] arguments) throws Exception {
        Path authority = Path.of(arguments[0]);
        List<String> files = Arrays.asList(arguments).subList(1, arguments.length);
        for (String http2Disabled : List.of("True", "False")) {
            TestRunner runner = TestRunners.newTestRunner(InvokeHTTP.class);
            trust(runner, authority);
            runner.setProperty(InvokeHTTP.HTTP2_DISABLED, http2Disabled);
            runner.setProperty(InvokeHTTP.HTTP_METHOD, "POST");
            runner.setProperty(InvokeHTTP.HTTP_URL, "${url}");
            runner.setProperty(InvokeHTTP.REQUEST_CONTENT_TYPE, "application/json");
            runner.setProperty(InvokeHTTP.RESPONSE_HEADER_REQUEST_ATTRIBUTES_ENABLED, "true");
            runner.setProperty("Cookie", "access_token=${token}");
            invoke(runner, files).forEach(System.out::println);
        }
        System.exit(0);
    }

    private static TreeSet<String> invoke(TestRunner runner, List<String> files) {
        for (int at = 0; at < files.size(); at += 3) {
            String number = String.valueOf(at / 3);
            Map<String, String> attributes =
                    Map.of("number", number, "url", files.get(at), "token", files.get(at + 1));
            runner.enqueue(content(files.get(at + 2)), attributes);
        }
        runner.run(files.size() / 3);
        TreeSet<String> lines = new TreeSet<>();
        for (Relationship relationship : InvokeHTTP.RELATIONSHIPS) {
            for (MockFlowFile file : runner.getFlowFilesForRelationship(relationship)) {
                lines.add(line(file, relationship));
            }
        }
        return lines;
    }

    private static String line(MockFlowFile file, Relationship relationship) {
        // Headers become attributes. Their names are in lower case over HTTP/2 and only there.
        String version = "no answer";
        if (file.getAttribute("content-type") != null) {
            version = "http2";
        } else if (file.getAttribute("Content-Type") != null) {
            version = "http1";
        }
        String status = file.getAttribute(InvokeHTTP.STATUS_CODE);
        String number = file.getAttribute("number");
        return number + " " + version + " " + status + " " + relationship.getName();
    }

    /** Has the processor trust this authority alone, by a controller service as operators do. */
    private static void trust(TestRunner runner, Path authority)
            throws GeneralSecurityException, IOException, InitializationException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream in = Files.newInputStream(authority)) {
            CertificateFactory certificates = CertificateFactory.getInstance("X.509");
            store.setCertificateEntry("authority", certificates.generateCertificate(in));
        }
        Path path = Path.of("trust.p12").toAbsolutePath();
        try (OutputStream out = Files.newOutputStream(path)) {
            store.store(out, PASSWORD.toCharArray());
        }
        StandardSSLContextService service = new StandardSSLContextService();
        runner.addControllerService("tls", service);
        runner.setProperty(service, StandardSSLContextService.TRUSTSTORE, path.toString());
        runner.setProperty(service, StandardSSLContextService.TRUSTSTORE_PASSWORD, PASSWORD);
        runner.setProperty(service, StandardSSLContextService.TRUSTSTORE_TYPE, "PKCS12");
        runner.enableControllerService(service);
        runner.setProperty(InvokeHTTP.SSL_CONTEXT_SERVICE, "tls");
    }

    private static byte[] content(String described) {
        if (described.startsWith("{")) {
            return described.getBytes(StandardCharsets.UTF_8);
        }
        return new byte[Integer.parseInt(described)];
    }
}
