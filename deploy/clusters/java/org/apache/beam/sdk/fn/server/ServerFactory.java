package org.apache.beam.sdk.fn.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.beam.model.pipeline.v1.Endpoints.ApiServiceDescriptor;
import org.apache.beam.sdk.fn.channel.SocketAddressFactory;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.BindableService;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.Server;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.ServerInterceptors;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.netty.NettyServerBuilder;

/**
 * Takes the place of Beam's class of this name, whose servers listen on all interfaces of the machine, whatever address they are given:
 * whoever reached a port could run code. These listen at their address alone, which is loopback where none is named.
 */
public class ServerFactory {
  private final Supplier<Integer> ports;

  private ServerFactory(Supplier<Integer> ports) {
    this.ports = ports;
  }

  /** For Beam's subclass, whose servers have no port. */
  protected ServerFactory() {
    this(() -> 0);
  }

  /** A factory for servers at free ports. */
  public static ServerFactory createDefault() {
    return new ServerFactory();
  }

  /** A factory for servers at the ports that are supplied. */
  public static ServerFactory createWithPortSupplier(Supplier<Integer> ports) {
    return new ServerFactory(ports);
  }

  /** Starts a server on loopback and writes its address into the descriptor. */
  public Server allocateAddressAndCreate(List<BindableService> services, ApiServiceDescriptor.Builder descriptor) throws IOException {
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), ports.get());
    Server server = start(services, address);
    descriptor.setUrl(address.getHostName() + ":" + server.getPort());
    return server;
  }

  /** Starts a server at the address of the descriptor. */
  public Server create(List<BindableService> services, ApiServiceDescriptor descriptor) throws IOException {
    return start(services, (InetSocketAddress) SocketAddressFactory.createFrom(descriptor.getUrl()));
  }

  private static Server start(List<BindableService> services, InetSocketAddress address) throws IOException {
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(address).maxInboundMessageSize(Integer.MAX_VALUE).permitKeepAliveTime(20, TimeUnit.SECONDS);
    for (BindableService service : services) {
      builder.addService(ServerInterceptors.intercept(service, GrpcContextHeaderAccessorProvider.interceptor()));
    }
    return builder.build().start();
  }
}
