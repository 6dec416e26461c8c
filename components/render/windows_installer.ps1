<#
.SYNOPSIS
Installs, upgrades, sets up or removes windows_exporter. It can run again at any time: what is right already
stays untouched.

.DESCRIPTION
Runs without questions, also as SYSTEM (startup script, deployment tool, guest agent), in Windows PowerShell 5.1
and in PowerShell 7. Everything is checked before anything is changed.

Exit codes: 0 done, or nothing to do; 3010 done, Windows wants a restart; 1618 another installation goes on, try
again later; 1 a check failed and nothing was changed; 2 it is installed, but doesn't answer; others are those of
msiexec.

.PARAMETER Uninstall
Removes windows_exporter, its configuration and its firewall rule.

.PARAMETER Msi
Another place of the MSI: a URL, a share, a path. Its checksum has to be the same.

.PARAMETER WebConfigFile
A web configuration of exporter-toolkit on this machine (TLS, basic authentication); certificate and key that this
script may hold are then left out.

.PARAMETER LogFile
Where is noted what was done.
#>
[CmdletBinding()]
param(
    [switch]$Uninstall,
    [string]$Msi = '',
    [string]$WebConfigFile = '',
    [string]$LogFile = (Join-Path -Path $env:SystemRoot -ChildPath 'Temp\pve-monitoring-windows-exporter.log')
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
# Its bar slows downloads down manifold in Windows PowerShell.
$ProgressPreference = 'SilentlyContinue'

#@settings@

if ($Msi -eq '') { $Msi = $DefaultMsi }
if ($WebConfigFile -eq '') { $WebConfigFile = $DefaultWebConfigFile }
$ServiceName = 'windows_exporter'
$RuleName = 'pve-monitoring-windows-exporter'
$MsiExec = Join-Path -Path $env:SystemRoot -ChildPath 'System32\msiexec.exe'
$Installing = 1618
$RestartWanted = 3010
$OldestBuild = 14393
$WaitSeconds = 90
$LogBytes = 1048576

function Write-Line {
    param([string]$Text)
    # The same in every language: some have another calendar.
    $stamp = (Get-Date).ToString('s')
    # Not Write-Output: what a function writes there is part of what it returns.
    Write-Host -Object $Text
    try {
        Add-Content -LiteralPath $LogFile -Value "$stamp $Text" -Encoding ASCII
    } catch {
        Write-Host -Object "(not noted in ${LogFile}: $($_.Exception.Message))"
    }
}

function Stop-Script {
    param([string]$Text, [int]$Code)
    Write-Line -Text $Text
    exit $Code
}

# --- checks: nothing is changed here

function Assert-Machine {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object -TypeName Security.Principal.WindowsPrincipal -ArgumentList $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Script -Code 1 -Text "run this as an administrator or as SYSTEM, not as $($identity.Name)"
    }
    if (-not [Environment]::Is64BitOperatingSystem) {
        Stop-Script -Code 1 -Text 'this Windows has 32 bits; windows_exporter needs 64'
    }
    if ($env:PROCESSOR_ARCHITECTURE -eq 'ARM64') {
        Stop-Script -Code 1 -Text "this machine is ARM64; the MSI $MsiName is for AMD64"
    }
    $build = [Environment]::OSVersion.Version.Build
    if ($build -lt $OldestBuild) {
        Stop-Script -Code 1 -Text "Windows build $build is too old; Server 2016 or Windows 10 1607 is the least"
    }
}

# A 32-bit PowerShell (some deployment tools) sees another registry and other folders.
function Invoke-InNative {
    $native = Join-Path -Path $env:SystemRoot -ChildPath 'Sysnative\WindowsPowerShell\v1.0\powershell.exe'
    $words = @('-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', $PSCommandPath)
    $words += @('-Msi', $Msi, '-LogFile', $LogFile)
    if ($WebConfigFile -ne '') { $words += @('-WebConfigFile', $WebConfigFile) }
    if ($Uninstall) { $words += '-Uninstall' }
    & $native @words
    exit $LASTEXITCODE
}

function Get-Product {
    $found = $null
    $all = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall'
    # Some security software lets nobody read its own key.
    foreach ($key in (Get-ChildItem -Path $all -ErrorAction SilentlyContinue)) {
        if ($key.GetValue('DisplayName') -ne 'windows_exporter') { continue }
        if ($key.GetValue('WindowsInstaller') -ne 1) { continue }
        $given = [Version]$key.GetValue('DisplayVersion')
        # A fourth number of 0 would make it newer than the same one without.
        $short = [Version]('{0}.{1}.{2}' -f $given.Major, $given.Minor, [Math]::Max($given.Build, 0))
        $found = [PSCustomObject]@{ Code = $key.PSChildName; Version = $short }
    }
    return $found
}

# An exporter that was set up by hand, without the MSI, has to go by hand: nobody knows what belongs to it.
function Assert-NoStranger {
    param($Product, $Service)
    if (($null -eq $Product) -and ($null -ne $Service)) {
        $where = Get-ServiceCommand
        Stop-Script -Code 1 -Text ("a service $ServiceName exists that no MSI installed ($where); remove it: " +
            "Stop-Service $ServiceName; sc.exe delete $ServiceName")
    }
}

function Assert-NoDowngrade {
    param($Product)
    if (($null -ne $Product) -and ($Product.Version -gt [Version]$Version)) {
        Stop-Script -Code 1 -Text ("version $($Product.Version) is installed and newer than $Version; raise " +
            'guestExporters.windows.version, or run this with -Uninstall first')
    }
}

function Assert-PortFree {
    $taken = @(Get-NetTCPConnection -State Listen -LocalPort $Port -ErrorAction SilentlyContinue)
    if ($taken.Count -eq 0) { return }
    $owner = Get-Process -Id $taken[0].OwningProcess -ErrorAction SilentlyContinue
    $name = if ($null -eq $owner) { 'something' } else { $owner.Name }
    if ($name -eq 'windows_exporter') { return }
    Stop-Script -Code 1 -Text ("port $Port is taken by $name (process $($taken[0].OwningProcess)); stop that, or " +
        'change scrape.exporterPorts.windows')
}

function Assert-WebConfig {
    if ($OwnTls -or ($WebConfigFile -eq '')) { return }
    if (-not [IO.Path]::IsPathRooted($WebConfigFile)) {
        Stop-Script -Code 1 -Text "the exporter wouldn't find $WebConfigFile; give the whole path of the file"
    }
    if (-not (Test-Path -LiteralPath $WebConfigFile -PathType Leaf)) {
        Stop-Script -Code 1 -Text "$WebConfigFile doesn't exist; the exporter wouldn't start without it"
    }
    $inside = $TlsFolder + [IO.Path]::DirectorySeparatorChar
    if ([IO.Path]::GetFullPath($WebConfigFile).StartsWith($inside, [StringComparison]::OrdinalIgnoreCase)) {
        Stop-Script -Code 1 -Text ("$WebConfigFile lies in $TlsFolder, which this script writes and removes; put " +
            'the web configuration, certificate and key elsewhere')
    }
}

# --- what is wanted, and what is there

# Single quotes of YAML hold everything but themselves, which are doubled.
function ConvertTo-YamlText {
    param([string]$Text)
    return "'" + $Text.Replace("'", "''") + "'"
}

function Get-WantedConfig {
    $lines = @($ConfigLines)
    if ($WebConfigFile -ne '') {
        $lines += '  config:'
        $lines += '    file: ' + (ConvertTo-YamlText -Text $WebConfigFile)
    }
    return ($lines -join "`r`n") + "`r`n"
}

# By content: of those who may read them the folder tells.
function Get-WantedTls {
    return @(
        [PSCustomObject]@{ Path = (Join-Path -Path $TlsFolder -ChildPath 'tls.crt'); Lines = $CertificateLines }
        [PSCustomObject]@{ Path = (Join-Path -Path $TlsFolder -ChildPath 'tls.key'); Lines = $KeyLines }
        [PSCustomObject]@{ Path = (Join-Path -Path $TlsFolder -ChildPath 'web.yml'); Lines = $WebConfigLines }
    )
}

function Test-FileRight {
    param($File)
    if (-not (Test-Path -LiteralPath $File.Path -PathType Leaf)) { return $false }
    return [IO.File]::ReadAllText($File.Path) -ceq (($File.Lines -join "`n") + "`n")
}

# Whoever may read or change the folder, by the identifiers that every language of Windows has.
function Test-TlsFolderRight {
    if (-not (Test-Path -LiteralPath $TlsFolder -PathType Container)) { return $false }
    $acl = Get-Acl -LiteralPath $TlsFolder
    if (-not $acl.AreAccessRulesProtected) { return $false }
    $rules = $acl.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])
    $found = @($rules | ForEach-Object -Process { $_.IdentityReference.Value } | Sort-Object -Unique)
    return ($found -join ' ') -ceq ((@($TlsReaders) | Sort-Object) -join ' ')
}

function Get-ServiceCommand {
    $key = Get-Item -Path "HKLM:\SYSTEM\CurrentControlSet\Services\$ServiceName" -ErrorAction SilentlyContinue
    if ($null -eq $key) { return '' }
    return [string]$key.GetValue('ImagePath')
}

# Flags on the command line win over the configuration file: only the file itself may stand there.
function Test-CommandRight {
    $flags = @((Get-ServiceCommand) -split '\s--' | Select-Object -Skip 1)
    return ($flags.Count -eq 1) -and ($flags[0].Trim() -eq "config.file=`"$ConfigFile`"")
}

function Test-ConfigRight {
    if (-not (Test-Path -LiteralPath $ConfigFile -PathType Leaf)) { return $false }
    return [IO.File]::ReadAllText($ConfigFile) -ceq (Get-WantedConfig)
}

# Windows writes networks otherwise than they were given: what was asked for stands in the rule's description.
function Get-RuleText {
    return "TCP $Port from $($Addresses -join ', '), for Prometheus"
}

function Test-RuleRight {
    $rule = Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue
    if ($null -eq $rule) { return $false }
    if (([string]$rule.Enabled -ne 'True') -or ([string]$rule.Action -ne 'Allow')) { return $false }
    return $rule.Description -ceq (Get-RuleText)
}

# The MSI's own rule, of an installation by hand, lets everybody in; one for certain addresses is the site's.
function Get-OpenRule {
    foreach ($rule in @(Get-NetFirewallRule -DisplayName $ServiceName -ErrorAction SilentlyContinue)) {
        if (([string]$rule.Direction -ne 'Inbound') -or ([string]$rule.Action -ne 'Allow')) { continue }
        $filter = Get-NetFirewallAddressFilter -AssociatedNetFirewallRule $rule
        if (@($filter.RemoteAddress) -contains 'Any') { $rule }
    }
}

function Test-FirewallService {
    $service = Get-Service -Name 'MpsSvc' -ErrorAction SilentlyContinue
    return ($null -ne $service) -and ($service.Status -eq 'Running')
}

# --- changes

function Save-Msi {
    $path = Join-Path -Path $Folder -ChildPath 'pve-monitoring-download.msi'
    # Nobody but administrators writes here: what was checked is what is installed.
    New-Item -Path $Folder -ItemType Directory -Force | Out-Null
    try {
        if ($Msi -match '^https?://') {
            [Net.ServicePointManager]::SecurityProtocol =
                [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
            Invoke-WebRequest -Uri $Msi -OutFile $path -UseBasicParsing -TimeoutSec 300
        } else {
            Copy-Item -LiteralPath $Msi -Destination $path -Force
        }
    } catch {
        Remove-Msi -Path $path
        Stop-Script -Code 1 -Text ("$Msi can't be read: $($_.Exception.Message) Nothing was changed. Does this " +
            'machine reach it? As SYSTEM a share is read with the account of the computer. Else give ' +
            'guestExporters.windows.msi a place that it reaches, or run this with -Msi.')
    }
    $hash = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash
    if ($hash -ne $Sha256) {
        Remove-Msi -Path $path
        Stop-Script -Code 1 -Text ("the SHA-256 of $Msi is $hash, but $Sha256 is expected; nothing was changed. " +
            "If the version is new, take the checksum from $ChecksumsUrl; if it isn't, somebody has changed the MSI.")
    }
    return $path
}

function Remove-Msi {
    param([string]$Path)
    Remove-Item -LiteralPath $Path -Force -ErrorAction SilentlyContinue
    Remove-EmptyFolder
}

function Remove-EmptyFolder {
    if (-not (Test-Path -LiteralPath $Folder -PathType Container)) { return }
    if ([IO.Directory]::GetFileSystemEntries($Folder).Length -eq 0) { Remove-Item -LiteralPath $Folder -Force }
}

function Invoke-MsiExec {
    param([string[]]$Words, [string]$What)
    $log = "$LogFile.msi"
    $arguments = $Words + @('/qn', '/norestart', '/l*v', "`"$log`"")
    $process = Start-Process -FilePath $MsiExec -ArgumentList $arguments -Wait -PassThru
    if ($process.ExitCode -eq $Installing) {
        Stop-Script -Code $Installing -Text "${What}: another installation goes on; run this again when it is done"
    }
    if (@(0, $RestartWanted, 1641) -notcontains $process.ExitCode) {
        Stop-Script -Code $process.ExitCode -Text "$What failed: msiexec ended with $($process.ExitCode); see $log"
    }
    if ($process.ExitCode -ne 0) { $script:Restart = $true }
}

function Install-Msi {
    param([string]$Path)
    try {
        # No properties: they would win over the configuration file.
        Invoke-MsiExec -What "the installation of $Version" -Words @('/i', "`"$Path`"")
    } finally {
        Remove-Msi -Path $Path
    }
}

function Set-Rule {
    if (-not (Test-FirewallService)) {
        Write-Line -Text ("the Windows firewall doesn't run: no rule; whatever guards this machine has to let " +
            "$($Addresses -join ', ') reach TCP $Port")
        return
    }
    foreach ($open in (Get-OpenRule)) {
        Remove-NetFirewallRule -Name $open.Name
        Write-Line -Text "the firewall rule $($open.Name) let everybody in and is removed"
        $script:Changed = $true
    }
    if (Test-RuleRight) { return }
    Remove-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue
    $rule = @{
        Name = $RuleName
        DisplayName = 'windows_exporter for Prometheus'
        Description = Get-RuleText
        Direction = 'Inbound'
        Action = 'Allow'
        Profile = 'Any'
        Protocol = 'TCP'
        LocalPort = $Port
        RemoteAddress = $Addresses
        Program = $Program
    }
    New-NetFirewallRule @rule | Out-Null
    Write-Line -Text "firewall: $(Get-RuleText)"
    $script:Changed = $true
}

function Set-TlsFolder {
    if (Test-TlsFolderRight) { return }
    New-Item -Path $TlsFolder -ItemType Directory -Force | Out-Null
    $acl = New-Object -TypeName Security.AccessControl.DirectorySecurity
    # Nothing is inherited from the folder above, which every user may read.
    $acl.SetAccessRuleProtection($true, $false)
    foreach ($reader in $TlsReaders) {
        $identity = New-Object -TypeName Security.Principal.SecurityIdentifier -ArgumentList $reader
        $rule = New-Object -TypeName Security.AccessControl.FileSystemAccessRule -ArgumentList @(
            $identity, 'FullControl', 'ContainerInherit, ObjectInherit', 'None', 'Allow')
        $acl.AddAccessRule($rule)
    }
    Set-Acl -LiteralPath $TlsFolder -AclObject $acl
    Write-Line -Text "$TlsFolder is for SYSTEM and administrators only"
    $script:Changed = $true
}

# The exporter reads them anew at each connection: it goes on.
function Set-Tls {
    if (-not $OwnTls) {
        Remove-Tls
        return
    }
    Set-TlsFolder
    foreach ($file in (Get-WantedTls)) {
        if (Test-FileRight -File $file) { continue }
        [IO.File]::WriteAllText($file.Path, (($file.Lines -join "`n") + "`n"))
        Write-Line -Text "$($file.Path) is written"
        $script:Changed = $true
    }
}

function Remove-Tls {
    if (-not (Test-Path -LiteralPath $TlsFolder)) { return }
    Remove-Item -LiteralPath $TlsFolder -Recurse -Force
    Write-Line -Text "$TlsFolder is removed"
    $script:Changed = $true
}

function Set-Config {
    if (Test-ConfigRight) { return $false }
    New-Item -Path $Folder -ItemType Directory -Force | Out-Null
    # UTF-8 without a byte-order mark.
    [IO.File]::WriteAllText($ConfigFile, (Get-WantedConfig))
    Write-Line -Text "$ConfigFile is written"
    return $true
}

# Why it doesn't start stands in the event log, which is shown if it doesn't answer; Windows tries again by itself. What
# doesn't stop would answer with its former configuration.
function Start-Exporter {
    param([switch]$Anew)
    try {
        if ($Anew) { Restart-Service -Name $ServiceName -Force } else { Start-Service -Name $ServiceName }
    } catch {
        if ((Get-Service -Name $ServiceName).Status -ne 'Stopped') { throw }
        Write-Line -Text $_.Exception.Message
    }
    $script:Changed = $true
}

# --- the end: does it answer?

function Read-Page {
    $client = New-Object -TypeName Net.WebClient
    # Whatever proxy this machine has: it doesn't lead to itself.
    $client.Proxy = $null
    try {
        return $client.DownloadString("http://127.0.0.1:$Port/metrics")
    } catch {
        $script:LastProblem = $_.Exception.Message
        return ''
    } finally {
        $client.Dispose()
    }
}

function Test-Answer {
    if ((Get-Service -Name $ServiceName).Status -ne 'Running') {
        $script:LastProblem = 'the service is not running'
        return $false
    }
    if ($WebConfigFile -ne '') {
        # Only those get an answer who can prove who they are, and this script knows no password: that it
        # listens has to do.
        $script:LastProblem = 'nothing listens'
        return @(Get-NetTCPConnection -State Listen -LocalPort $Port -ErrorAction SilentlyContinue).Count -gt 0
    }
    $page = Read-Page
    if ($page -eq '') { return $false }
    $script:LastProblem = "the answer is not that of windows_exporter $Version"
    $build = 'windows_exporter_build_info\{.*version="' + [regex]::Escape($Version) + '"'
    if ($page -notmatch $build) { return $false }
    foreach ($match in [regex]::Matches($page, 'windows_exporter_collector_success\{collector="(\w+)"\} 0')) {
        Write-Line -Text ("collector $($match.Groups[1].Value) fails. If its performance counters are broken or " +
            'switched off, run: lodctr.exe /R and lodctr.exe /E:PerfProc, then Restart-Service windows_exporter')
    }
    return $true
}

function Wait-Answer {
    $deadline = (Get-Date).AddSeconds($WaitSeconds)
    while (-not (Test-Answer)) {
        if ((Get-Date) -gt $deadline) { return $false }
        Start-Sleep -Seconds 1
    }
    return $true
}

function Write-Events {
    $filter = @{ LogName = 'Application'; ProviderName = $ServiceName }
    $events = @(Get-WinEvent -FilterHashtable $filter -MaxEvents 3 -ErrorAction SilentlyContinue)
    foreach ($entry in $events) { Write-Line -Text "event log: $($entry.Message)" }
}

# --- what is asked for

function Install-Exporter {
    $product = Get-Product
    $service = Get-Service -Name $ServiceName -ErrorAction SilentlyContinue
    Assert-NoStranger -Product $product -Service $service
    Assert-NoDowngrade -Product $product
    Assert-PortFree
    Assert-WebConfig
    $current = ($null -ne $product) -and ($product.Version -eq [Version]$Version) -and (Test-CommandRight)
    $package = ''
    if (-not $current) { $package = Save-Msi }

    if ($OwnTls) { Set-Tls }
    $configured = Set-Config
    if (-not $current) {
        # The same version with other flags: only its removal takes them away for certain.
        if (($null -ne $product) -and ($product.Version -eq [Version]$Version)) {
            Invoke-MsiExec -What 'the removal of an installation with other flags' -Words @('/x', $product.Code)
            $configured = Set-Config
        }
        Install-Msi -Path $package
        Write-Line -Text "windows_exporter $Version is installed"
    }
    # What the MSI has just installed may still be starting.
    if ($configured -and $current) {
        Start-Exporter -Anew
    } elseif ((Get-Service -Name $ServiceName).Status -eq 'Stopped') {
        Start-Exporter
    }
    if ($configured -or -not $current) { $script:Changed = $true }
    # Not before the exporter does without them.
    if (-not $OwnTls) { Set-Tls }
    Set-Rule
    if (-not (Wait-Answer)) {
        Write-Events
        if ($script:Restart) {
            Stop-Script -Code $RestartWanted -Text ("windows_exporter $Version is installed, but Windows wants a " +
                "restart before it answers: $LastProblem")
        }
        Stop-Script -Code 2 -Text ("windows_exporter $Version is installed, but port $Port of this machine " +
            "doesn't answer within $WaitSeconds s: $LastProblem. Look at: Get-Service windows_exporter; the event " +
            "log Application, source windows_exporter; $ConfigFile")
    }
    if ($script:Changed) {
        Write-Line -Text "windows_exporter $Version answers on port $Port"
    } else {
        Write-Line -Text "windows_exporter ${Version}: nothing to change"
    }
}

function Uninstall-Exporter {
    $product = Get-Product
    if ($null -ne $product) {
        Invoke-MsiExec -What "the removal of $($product.Version)" -Words @('/x', $product.Code)
        Write-Line -Text "windows_exporter $($product.Version) is removed"
    }
    if (Test-FirewallService) { Remove-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue }
    # A web configuration that the site put there stays.
    Remove-Tls
    Remove-Item -LiteralPath $ConfigFile -Force -ErrorAction SilentlyContinue
    Remove-EmptyFolder
    if ($null -eq $product) { Write-Line -Text 'windows_exporter is not installed: nothing to remove' }
}

# AppLocker and App Control for Business: hardly anything of .NET may be called.
$mode = $ExecutionContext.SessionState.LanguageMode
if ($mode -ne 'FullLanguage') {
    Stop-Script -Code 1 -Text ("PowerShell runs this script as $mode only; sign it, or have application control " +
        'allow its path')
}

if ([Environment]::Is64BitOperatingSystem -and -not [Environment]::Is64BitProcess) { Invoke-InNative }

# A web configuration that the site puts here itself wins.
$OwnTls = ($WebConfigFile -eq '') -and ($TlsWebConfigFile -ne '')
if ($OwnTls) { $WebConfigFile = $TlsWebConfigFile }
# LocalSystem, as which the exporter runs, and Administrators.
$TlsReaders = @('S-1-5-18', 'S-1-5-32-544')

$Folder = Join-Path -Path $env:ProgramFiles -ChildPath 'windows_exporter'
$Program = Join-Path -Path $Folder -ChildPath 'windows_exporter.exe'
# Where the MSI itself looks for it.
$ConfigFile = Join-Path -Path $Folder -ChildPath 'config.yaml'
$Changed = $false
$Restart = $false
$LastProblem = ''

try {
    # Relative paths mean another folder to msiexec.
    $LogFile = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($LogFile)
    if ((Test-Path -LiteralPath $LogFile) -and ((Get-Item -LiteralPath $LogFile).Length -gt $LogBytes)) {
        Remove-Item -LiteralPath $LogFile -Force
    }
    Assert-Machine
    # msiexec doesn't start where it can't write its own (1622).
    $place = Split-Path -Path $LogFile -Parent
    if (-not (Test-Path -LiteralPath $place)) { New-Item -Path $place -ItemType Directory -Force | Out-Null }
    if ($Uninstall) { Uninstall-Exporter } else { Install-Exporter }
} catch {
    Stop-Script -Code 2 -Text "stopped unexpectedly: $($_.Exception.Message) ($($_.InvocationInfo.PositionMessage))"
}
if ($Restart) { exit $RestartWanted }
exit 0
