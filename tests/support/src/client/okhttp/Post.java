import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.List;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okio.BufferedSink;

/** Posts bodies over HTTP/2, as NiFi's InvokeHTTP does. Arguments: URL, token, lengths. */
public class Post {
    public static void main(String[] arguments) {
        OkHttpClient client = new OkHttpClient.Builder()
                .protocols(List.of(Protocol.H2_PRIOR_KNOWLEDGE))
                .build();
        for (String length : Arrays.asList(arguments).subList(2, arguments.length)) {
            Request request = new Request.Builder()
                    .url(arguments[0])
                    .header("Cookie", "access_token=" + arguments[1])
                    .post(new Zeros(Long.parseLong(length)))
                    .build();
            try (Response response = client.newCall(request).execute()) {
                String body = response.body().string();
                System.out.println(response.protocol() + " " + response.code() + " " + body);
            } catch (IOException | IllegalStateException exception) {
                System.out.println(exception);
            }
        }
        System.exit(0);
    }

    /** A body of known length, written in pieces as a flow file is. */
    private static class Zeros extends RequestBody {
        private final long length;

        Zeros(long length) {
            this.length = length;
        }

        @Override
        public MediaType contentType() {
            return MediaType.get("application/json");
        }

        @Override
        public long contentLength() {
            return length;
        }

        /** An exception while writing is none that OkHttp handles: NiFi's session wraps it too. */
        @Override
        public void writeTo(BufferedSink sink) {
            OutputStream out = sink.outputStream();
            byte[] piece = new byte[8192];
            try {
                for (long left = length; left > 0; left -= piece.length) {
                    out.write(piece, 0, (int) Math.min(left, piece.length));
                }
            } catch (IOException exception) {
                throw new IllegalStateException(exception);
            }
        }
    }
}
