// The matrix's program on Californium: see support/matrix.sh.

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapHandler;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.Code;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Option;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.OpaqueOptionDefinition;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.TcpConfig;
import org.eclipse.californium.scandium.config.DtlsConfig;

public final class Peer {
    private static Configuration configuration(int block) {
        CoapConfig.register();
        TcpConfig.register();
        DtlsConfig.register();
        Configuration config = new Configuration();
        config.set(CoapConfig.PREFERRED_BLOCK_SIZE, block);
        config.set(CoapConfig.MAX_MESSAGE_SIZE, block);
        config.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 1 << 20);
        return config;
    }

    private static CoapEndpoint endpoint(String scheme, boolean serves, int block) throws Exception {
        Configuration config = configuration(block);
        InetSocketAddress where = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        CoapEndpoint.Builder builder = new CoapEndpoint.Builder().setConfiguration(config);
        if (scheme.equals("coap"))
            builder.setInetSocketAddress(where);
        else
            builder.setConnector(Secure.connector(scheme, serves, where, config));
        if (Oscore.isUsed())
            Oscore.build(builder, serves);
        return builder.build();
    }

    // ---- Serving -----------------------------------------------------------

    private static final class Constant extends CoapResource {
        private final byte[] body;

        Constant(String name, byte[] body) {
            super(name);
            this.body = body;
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond(ResponseCode.CONTENT, body, MediaTypeRegistry.APPLICATION_OCTET_STREAM);
        }
    }

    private static final class Value extends CoapResource {
        private byte[] body;

        Value(String name, boolean observable) {
            super(name);
            setObservable(observable);
            setObserveType(Type.CON);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            if (body == null)
                exchange.respond(ResponseCode.NOT_FOUND);
            else
                exchange.respond(ResponseCode.CONTENT, body, MediaTypeRegistry.APPLICATION_OCTET_STREAM);
        }

        @Override
        public void handlePUT(CoapExchange exchange) {
            ResponseCode code = body == null ? ResponseCode.CREATED : ResponseCode.CHANGED;
            body = exchange.getRequestPayload();
            exchange.respond(code);
            changed();
        }

        @Override
        public void handleDELETE(CoapExchange exchange) {
            body = null;
            exchange.respond(ResponseCode.DELETED);
        }
    }

    private static final class Echo extends CoapResource {
        Echo() {
            super("echo");
        }

        @Override
        public void handlePOST(CoapExchange exchange) {
            exchange.respond(ResponseCode.CHANGED, exchange.getRequestPayload());
        }

        @Override
        public void handleFETCH(CoapExchange exchange) {
            exchange.respond(ResponseCode.CONTENT, exchange.getRequestPayload());
        }
    }

    private static final class Separate extends CoapResource {
        Separate() {
            super("separate");
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.accept();
            try {
                Thread.sleep(1000);
            } catch (InterruptedException e) {
                return;
            }
            exchange.respond("done");
        }
    }

    private static final class Tagged extends CoapResource {
        private static final byte[] ETAG = {1, 2};

        Tagged() {
            super("etag");
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.setETag(ETAG);
            if (exchange.getRequestOptions().containsETag(ETAG))
                exchange.respond(ResponseCode.VALID);
            else
                exchange.respond("tagged");
        }
    }

    // The root answers with text about Californium, unless it is replaced.
    private static final class Root extends CoapResource {
        Root() {
            super("");
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond("made with Californium");
        }
    }

    private static final class Server extends CoapServer {
        Server(Configuration config) {
            super(config);
        }

        @Override
        protected org.eclipse.californium.core.server.resources.Resource createRoot() {
            return new Root();
        }
    }

    private static void serve(String file) throws Exception {
        String scheme = System.getenv().getOrDefault("PEER_SCHEME", "coap");
        CoapEndpoint endpoint = endpoint(scheme, true, 1024);
        CoapServer server = new Server(endpoint.getConfig());
        server.addEndpoint(endpoint);
        server.add(new Constant("large", Files.readAllBytes(Path.of(file))),
            new Value("store", false), new Value("obs", true), new Echo(), new Separate(), new Tagged());
        if (Oscore.isUsed())
            server.add(Oscore.resource());
        server.start();
        System.out.println("listening on " + scheme + "://127.0.0.1:" + endpoint.getAddress().getPort());
    }

    // ---- Asking ------------------------------------------------------------

    static Map<String, String> said(String[] words) {
        Map<String, String> said = new HashMap<>();
        for (String word : words) {
            String[] parts = word.split("=", 2);
            said.put(parts[0], parts.length > 1 ? parts[1] : "");
        }
        return said;
    }

    private static CoapClient client(String uri, int block) throws Exception {
        CoapClient client = new CoapClient(uri);
        client.setEndpoint(endpoint(uri.substring(0, uri.indexOf(':')), false, block));
        client.setTimeout(50000L);
        return client;
    }

    private static Request request(String method, String uri, Map<String, String> said, int block) throws Exception {
        Request request = new Request(Code.valueOf(method), said.containsKey("non") ? Type.NON : Type.CON);
        request.setURI(uri);
        if (said.containsKey("body")) {
            request.getOptions().setContentFormat(MediaTypeRegistry.APPLICATION_OCTET_STREAM);
            request.setPayload(Files.readAllBytes(Path.of(said.get("body"))));
        } else if (said.containsKey("block")) {
            request.getOptions().setBlock2(Integer.numberOfTrailingZeros(block) - 4, false, 0);
        }
        if (said.containsKey("etag"))
            request.getOptions().addETag(HexFormat.of().parseHex(said.get("etag")));
        if (said.containsKey("option")) {
            int number = Integer.parseInt(said.get("option"));
            request.getOptions().addOtherOption(
                new OpaqueOptionDefinition(number, "Option-" + number).create(new byte[] {'x'}));
        }
        if (Oscore.isUsed())
            Oscore.protect(request, uri);
        return request;
    }

    private static Response answer(CoapClient client, Request request) throws Exception {
        CoapResponse response = client.advanced(request);
        if (response == null)
            throw new IllegalStateException("no response");
        return response.advanced();
    }

    private static void ask(String method, String uri, Map<String, String> said) throws Exception {
        int block = Integer.parseInt(said.getOrDefault("block", "1024"));
        CoapClient client = client(uri, block);
        Response response = answer(client, request(method, uri, said, block));
        Option echo = Oscore.echoOf(response);
        if (echo != null && response.getCode() == ResponseCode.UNAUTHORIZED) {
            Request again = request(method, uri, said, block);
            again.getOptions().addOtherOption(echo);
            System.err.println("asked for an Echo");
            response = answer(client, again);
        }
        show(response);
    }

    private static void show(Response response) throws Exception {
        System.out.write(response.getPayload());
        System.out.flush();
        for (byte[] tag : response.getOptions().getETags())
            System.err.println("etag " + HexFormat.of().formatHex(tag));
        System.err.println("code " + response.getCode());
    }

    private static void observe(String uri, int count) throws Exception {
        CountDownLatch left = new CountDownLatch(count);
        Request request = Request.newGet().setURI(uri).setObserve();
        if (Oscore.isUsed())
            Oscore.protect(request, uri);
        var relation = client(uri, 1024).observe(request, new CoapHandler() {
            @Override
            public void onLoad(CoapResponse response) {
                if (left.getCount() > 0)
                    System.out.println(response.getResponseText());
                left.countDown();
            }

            @Override
            public void onError() {
                System.err.println("the observation failed");
            }
        });
        left.await(50, TimeUnit.SECONDS);
        relation.proactiveCancel();
        System.out.println("let go");
        Thread.sleep(2000);
    }

    private static void ping(String uri) throws Exception {
        if (client(uri, 1024).ping(5000))
            System.out.println("answered");
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
        case "serve":
            serve(args[1]);
            return;
        case "ask":
            ask(args[1], args[2], said(Arrays.copyOfRange(args, 3, args.length)));
            break;
        case "observe":
            observe(args[1], Integer.parseInt(args[2]));
            break;
        default:
            ping(args[1]);
        }
        System.exit(0);
    }
}
