// OSCORE for the matrix's program, by cf-oscore. PEER_OSCORE has the words
//
//   aead=NUMBER hkdf=NUMBER    by COSE
//   secret=HEX salt=HEX sender=HEX recipient=HEX [context=HEX]
//   numbers=FILE               the sequence numbers that processes before took
//   rederives                  RFC 8613 B.2

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;

import com.upokecenter.cbor.CBORObject;

import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.coap.Option;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.StandardOptionRegistry;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.cose.AlgorithmID;
import org.eclipse.californium.oscore.ContextRederivation;
import org.eclipse.californium.oscore.HashMapCtxDB;
import org.eclipse.californium.oscore.OSCoreCoapStackFactory;
import org.eclipse.californium.oscore.OSCoreCtx;
import org.eclipse.californium.oscore.OSCoreResource;

final class Oscore {
    private static final String WORDS = System.getenv("PEER_OSCORE");
    private static final int TAKEN = 20000; // numbers, by one process
    private static final int BODY = 1 << 20;

    private static final HashMapCtxDB contexts = new HashMapCtxDB();
    private static OSCoreCtx context;

    private Oscore() {
    }

    static boolean isUsed() {
        return WORDS != null;
    }

    private static byte[] bytes(String hex) {
        return hex == null ? null : HexFormat.of().parseHex(hex);
    }

    private static AlgorithmID algorithm(String number) throws Exception {
        return AlgorithmID.FromCBOR(CBORObject.FromObject(Integer.parseInt(number)));
    }

    // A number is never used twice: what the process before may have used is passed over.
    private static int nextNumber(Path file) throws IOException {
        int next = Files.exists(file) ? Integer.parseInt(Files.readString(file)) : 0;
        Files.writeString(file, Integer.toString(next + TAKEN));
        return next;
    }

    private static OSCoreCtx context(boolean serves) throws Exception {
        if (context == null)
            context = make(serves);
        return context;
    }

    private static OSCoreCtx make(boolean serves) throws Exception {
        Map<String, String> said = Peer.said(WORDS.split("\\s+"));
        OSCoreCtx made = new OSCoreCtx(bytes(said.get("secret")), !serves, algorithm(said.get("aead")),
            bytes(said.get("sender")), bytes(said.get("recipient")), algorithm(said.get("hkdf")), null,
            bytes(said.get("salt")), bytes(said.get("context")), BODY);
        if (said.containsKey("context"))
            made.setIncludeContextId(true);
        made.setSenderSeq(nextNumber(Path.of(said.get("numbers"))));
        if (said.containsKey("rederives")) {
            made.setContextRederivationEnabled(true);
            if (!serves)
                made.setContextRederivationPhase(ContextRederivation.PHASE.CLIENT_INITIATE);
        }
        return made;
    }

    static void build(CoapEndpoint.Builder builder, boolean serves) throws Exception {
        contexts.addContext(context(serves));
        builder.setCoapStackFactory(new OSCoreCoapStackFactory()).setCustomCoapStackArgument(contexts);
    }

    // Who asks for it without OSCORE is refused.
    static CoapResource resource() {
        return new OSCoreResource("secret", true) {
            @Override
            public void handleGET(CoapExchange exchange) {
                exchange.respond("between us");
            }
        };
    }

    // Requests there are protected.
    static void protect(Request request, String uri) throws Exception {
        contexts.addContext(uri, context(false));
        request.getOptions().setOscore(new byte[0]);
    }

    // The option by which a server learns that we are there now, which an
    // application repeats: RFC 9175 2.3.
    static Option echoOf(Response response) {
        return response.getOptions().getOtherOption(StandardOptionRegistry.ECHO);
    }
}
