"""The program's own account in Grafana: a service account, and the provider that works with its token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumiverse_grafana as grafana

from components.gateway import Gateway, authority
from components.grafana import Grafana
from components.render.platform_tls import authority_of
from components.settings import Secret, Secrets, StackSettings


@dataclass(frozen=True, kw_only=True)
class GrafanaAccountArgs:
    """Arguments of GrafanaAccount.

    Attributes:
        gateways: the way to the server, where it goes through them.
    """

    server: Grafana
    gateways: Sequence[Gateway]
    settings: StackSettings
    secrets: Secrets


class GrafanaAccount(pulumi.ComponentResource):
    """The service account `pulumi`, made with the administrator's password, and its token.

    Everything else in Grafana is made with the token, so that people may change the administrator's password
    and Grafana's own log tells what this program did from what they did.

    Attributes:
        provider: makes what is in Grafana.
    """

    TYPE = "pve-monitoring:components:GrafanaAccount"

    provider: grafana.Provider

    def __init__(
        self, name: str, args: GrafanaAccountArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._server = args.server
        through = args.settings.api_through_gateway
        self._gateways = [gateway.container for gateway in args.gateways] if through else []
        self._ca = authority(args.settings) if through else authority_of(args.settings, args.server.api_url)
        # Where the data goes, so does the content: a destroy needs no Grafana that still answers. Where it is
        # kept, the content is deleted, or the next stack finds it in its way. Not with the container, or the
        # engine would make all of it again with a new one, which has the former one's data.
        self._deleted_with = None if args.settings.containers.protect_data else args.server.data
        password = args.secrets[Secret.GRAFANA_ADMIN_PASSWORD]
        login = pulumi.Output.concat(args.settings.grafana.admin_user, ":", password)
        administrator = self._logged_in(f"{name}-administrator", login)
        account = grafana.oss.ServiceAccount(
            "pulumi-account",
            name="pulumi",
            # Data sources, contact points and the organization's preferences need an administrator.
            role="Admin",
            is_disabled=False,
            opts=self.child_options(self, administrator),
        )
        token = grafana.oss.ServiceAccountToken(
            "pulumi-token",
            name=f"pulumi-{args.settings.grafana.token_generation}",
            service_account_id=account.id,
            opts=pulumi.ResourceOptions.merge(
                self.child_options(self, administrator),
                # The new one is in use before the former one goes.
                pulumi.ResourceOptions(delete_before_replace=False),
            ),
        )
        self.provider = self._logged_in(f"{name}-provider", token.key)
        self.register_outputs({})

    def _logged_in(self, name: str, auth: pulumi.Input[str]) -> grafana.Provider:
        return grafana.Provider(
            name,
            url=self._server.api_url,
            auth=auth,
            ca_cert=self._ca,
            # A wrong password or token is said at once: by default 401 is tried again for 14 s per resource.
            retry_status_codes=["429", "5xx"],
            retries=3,
            retry_wait=2,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def child_options(
        self, parent: pulumi.Resource, provider: grafana.Provider | None = None
    ) -> pulumi.ResourceOptions:
        """Options of a resource in Grafana: nothing before the server is healthy.

        Args:
            parent: the component that it belongs to.
            provider: another one than the token's.
        """
        return pulumi.ResourceOptions(
            parent=parent,
            provider=provider or self.provider,
            depends_on=[self._server.container, *self._gateways],
            deleted_with=self._deleted_with,
        )
