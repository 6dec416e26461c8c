<#
Runs a script as if on Windows: what only Windows has is played from a machine's description, all else is PowerShell's
own. Given are the script, its parameters (JSON) and the description (JSON), which holds afterwards what has become of
the machine and, in `calls`, what was asked of it in which order.
#>
param([string]$Script, [string]$Parameters, [string]$Description)

$global:Description = $Description
$global:Machine = Get-Content -Raw -LiteralPath $Description | ConvertFrom-Json -AsHashtable
$global:Late = 0

function global:Save-Machine {
    [IO.File]::WriteAllText($global:Description, (ConvertTo-Json -InputObject $global:Machine -Depth 9))
}

# A function of its own keeps the rights that this script began with.
function global:Exit-Machine {
    param([int]$Code)
    $global:Machine['exit'] = $Code
    Save-Machine
}

function global:Add-Call {
    param([string]$Text)
    $global:Machine['calls'] += $Text
    Save-Machine
}

# --- types: PowerShell asks its list of short names first

class WindowsVersion {
    [Version]$Version = [Version]"10.0.$($global:Machine['build']).0"
}
class WindowsEnvironment {
    static [bool]$Is64BitOperatingSystem = $global:Machine['bits'] -eq 64
    static [bool]$Is64BitProcess = $global:Machine['processBits'] -eq 64
    static [WindowsVersion]$OSVersion = [WindowsVersion]::new()
}
class Identity {
    [string]$Name = 'EXAMPLE\somebody'
    static [Identity] GetCurrent() { return [Identity]::new() }
}
class Principal {
    Principal([Identity]$identity) { }
    [bool] IsInRole([Security.Principal.WindowsBuiltInRole]$role) {
        return ($role -eq 'Administrator') -and $global:Machine['administrator']
    }
}
class Sid {
    [string]$Value
    Sid([string]$value) { $this.Value = $value }
}
class AccessRule {
    [Sid]$IdentityReference
    [string]$Text
    AccessRule([Sid]$who, [Security.AccessControl.FileSystemRights]$what,
        [Security.AccessControl.InheritanceFlags]$down, [Security.AccessControl.PropagationFlags]$how,
        [Security.AccessControl.AccessControlType]$type) {
        $this.IdentityReference = $who
        $this.Text = "$type $($who.Value) $what, $down, $how"
    }
}
class Acl {
    [bool]$AreAccessRulesProtected = $false
    [object[]]$Rules = @()
    [void] SetAccessRuleProtection([bool]$protected, [bool]$inherited) { $this.AreAccessRulesProtected = $protected }
    [void] AddAccessRule([AccessRule]$rule) { $this.Rules += $rule }
    [object[]] GetAccessRules([bool]$explicit, [bool]$inherited, [type]$kind) { return $this.Rules }
}
$shortNames = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')
$shortNames::Add('Environment', [WindowsEnvironment])
$shortNames::Add('Security.Principal.WindowsIdentity', [Identity])
$shortNames::Add('Security.Principal.WindowsPrincipal', [Principal])
$shortNames::Add('Security.Principal.SecurityIdentifier', [Sid])
$shortNames::Add('Security.AccessControl.FileSystemAccessRule', [AccessRule])
$shortNames::Add('Security.AccessControl.DirectorySecurity', [Acl])

# --- the registry

function global:ConvertTo-Key {
    param([string]$Name, $Values)
    $key = [PSCustomObject]@{ PSChildName = $Name; Values = $Values }
    Add-Member -InputObject $key -MemberType ScriptMethod -Name GetValue -Value { $this.Values[$args[0]] }
    return $key
}

function global:Get-ChildItem {
    [CmdletBinding()] param([string]$Path)
    if ($Path -ne 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall') { throw "not played: $Path" }
    Write-Error -Message 'Requested registry access is not allowed.'
    foreach ($code in @($global:Machine['products'].Keys)) {
        ConvertTo-Key -Name $code -Values $global:Machine['products'][$code]
    }
}

function global:Get-Item {
    [CmdletBinding()] param([string]$Path, [string]$LiteralPath)
    if ($LiteralPath -ne '') { return Microsoft.PowerShell.Management\Get-Item -LiteralPath $LiteralPath }
    if ($Path -ne 'HKLM:\SYSTEM\CurrentControlSet\Services\windows_exporter') { throw "not played: $Path" }
    $service = $global:Machine['service']
    if ($null -ne $service) { ConvertTo-Key -Name 'windows_exporter' -Values $service }
}

# --- services and processes

function global:Get-Service {
    [CmdletBinding()] param([string]$Name)
    $services = @{ MpsSvc = $global:Machine['firewall']; windows_exporter = $global:Machine['service'] }
    if ($null -ne $services[$Name]) { return [PSCustomObject]@{ Name = $Name; Status = $services[$Name]['Status'] } }
    Write-Error -Message "Cannot find any service with service name '$Name'."
}

function global:Enter-Running {
    $service = $global:Machine['service']
    $service['Status'] = $global:Machine['starts']
    $folder = Join-Path -Path $env:ProgramFiles -ChildPath 'windows_exporter'
    $service['Config'] = [IO.File]::ReadAllText((Join-Path -Path $folder -ChildPath 'config.yaml'))
    $service['TlsWasThere'] = Test-Path -LiteralPath (Join-Path -Path $folder -ChildPath 'tls')
    Save-Machine
}

function global:Assert-Running {
    if ($global:Machine['service']['Status'] -like 'Stop*') { Write-Error -Message 'Failed to start the service.' }
}

function global:Restart-Service {
    [CmdletBinding()] param([string]$Name, [switch]$Force)
    Enter-Running
    Add-Call "Restart-Service $Name"
    Assert-Running
}

function global:Start-Service {
    [CmdletBinding()] param([string]$Name)
    Enter-Running
    Add-Call "Start-Service $Name"
    Assert-Running
}

function global:Get-NetTCPConnection {
    [CmdletBinding()] param([string]$State, [int]$LocalPort)
    foreach ($listener in $global:Machine['listeners']) {
        if ($listener['port'] -eq $LocalPort) { [PSCustomObject]@{ OwningProcess = $listener['process'] } }
    }
    $service = $global:Machine['service']
    if (($null -ne $service) -and ($service['Status'] -eq 'Running')) { [PSCustomObject]@{ OwningProcess = 4242 } }
}

function global:Get-Process {
    [CmdletBinding()] param([int]$Id)
    if ($Id -eq 4242) { return [PSCustomObject]@{ Name = 'windows_exporter' } }
    foreach ($listener in $global:Machine['listeners']) {
        if ($listener['process'] -eq $Id) { [PSCustomObject]@{ Name = $listener['name'] } }
    }
}

function global:Get-WinEvent {
    [CmdletBinding()] param([hashtable]$FilterHashtable, [int]$MaxEvents)
    foreach ($text in $global:Machine['events']) { [PSCustomObject]@{ Message = $text } }
}

# --- Windows Installer: the MSI of a test is a file that holds its version

function global:Get-FileHash {
    [CmdletBinding()] param([string]$LiteralPath, [string]$Algorithm)
    Add-Call "Get-FileHash $LiteralPath"
    Microsoft.PowerShell.Utility\Get-FileHash @PSBoundParameters
}

function global:Start-Process {
    [CmdletBinding()] param([string]$FilePath, [string[]]$ArgumentList, [switch]$Wait, [switch]$PassThru)
    $msiexec = Join-Path -Path $env:SystemRoot -ChildPath 'System32\msiexec.exe'
    if ($FilePath -ne $msiexec) { throw "not played: $FilePath" }
    Add-Call "msiexec $ArgumentList"
    $codes = @($global:Machine['msiexec'])
    $code = 0
    if ($codes.Count -gt 0) {
        $code = $codes[0]
        $global:Machine['msiexec'] = @($codes | Select-Object -Skip 1)
    }
    # It is told where its log is by the last word.
    if (-not (Test-Path -LiteralPath (Split-Path -Path $ArgumentList[-1].Trim('"') -Parent))) { $code = 1622 }
    if (@(0, 1641, 3010) -contains $code) {
        $what = $ArgumentList[1].Trim('"')
        if ($ArgumentList[0] -eq '/x') { Remove-Product -Code $what } else { Add-Product -Path $what }
    }
    Save-Machine
    return [PSCustomObject]@{ ExitCode = $code }
}

function global:Add-Product {
    param([string]$Path)
    $folder = Join-Path -Path $env:ProgramFiles -ChildPath 'windows_exporter'
    $config = Join-Path -Path $folder -ChildPath 'config.yaml'
    $version = [IO.File]::ReadAllText($Path)
    $global:Machine['products'] = @{
        "{00000000-$version}" = @{ DisplayName = 'windows_exporter'; DisplayVersion = $version; WindowsInstaller = 1 }
    }
    New-Item -Path $folder -ItemType Directory -Force | Out-Null
    [IO.File]::AppendAllText($config, '')
    # Flags that have no value leave their blanks.
    $command = "`"$(Join-Path -Path $folder -ChildPath 'windows_exporter.exe')`" --config.file=`"$config`"     "
    $global:Machine['service'] = @{ ImagePath = $command }
    Enter-Running
}

function global:Remove-Product {
    param([string]$Code)
    if (-not $global:Machine['products'].ContainsKey($Code)) { throw "no such product: $Code" }
    $global:Machine['products'].Remove($Code)
    $global:Machine['service'] = $null
    $config = Join-Path -Path $env:ProgramFiles -ChildPath 'windows_exporter\config.yaml'
    if ($global:Machine['sweeps']) { Remove-Item -LiteralPath $config }
}

# --- the firewall

function global:Get-NetFirewallRule {
    [CmdletBinding()] param([string]$Name, [string]$DisplayName)
    foreach ($rule in $global:Machine['rules']) {
        if (($rule['Name'] -eq $Name) -or ($rule['DisplayName'] -eq $DisplayName)) { [PSCustomObject]$rule }
    }
}

function global:Get-NetFirewallAddressFilter {
    [CmdletBinding()] param($AssociatedNetFirewallRule)
    return $AssociatedNetFirewallRule
}

function global:Remove-NetFirewallRule {
    [CmdletBinding()] param([string]$Name)
    $left = @($global:Machine['rules'] | Where-Object -FilterScript { $_['Name'] -ne $Name })
    if ($left.Count -eq @($global:Machine['rules']).Count) {
        Write-Error -Message "No rule named $Name."
        return
    }
    $global:Machine['rules'] = $left
    Add-Call "Remove-NetFirewallRule $Name"
}

function global:New-NetFirewallRule {
    [CmdletBinding()]
    param([string]$Name, [string]$DisplayName, [string]$Description, [string]$Direction, [string]$Action,
        [string]$Profile, [string]$Protocol, [string]$LocalPort, [string[]]$RemoteAddress, [string]$Program)
    $global:Machine['rules'] += (@{ Enabled = 'True' } + $PSBoundParameters)
    Add-Call "New-NetFirewallRule $Name"
}

# --- who may read a folder

function global:Get-Acl {
    [CmdletBinding()] param([string]$LiteralPath)
    $acl = [Acl]::new()
    $found = $global:Machine['acls'][$LiteralPath]
    if ($null -eq $found) {
        # As everything below Program Files: users read.
        $found = @{ protected = $false; readers = @('S-1-5-18', 'S-1-5-32-544', 'S-1-5-32-545') }
    }
    $acl.AreAccessRulesProtected = $found['protected']
    foreach ($reader in $found['readers']) {
        $acl.AddAccessRule([AccessRule]::new([Sid]::new($reader), 'FullControl', 'None', 'None', 'Allow'))
    }
    return $acl
}

function global:Set-Acl {
    [CmdletBinding()] param([string]$LiteralPath, $AclObject)
    $inside = @([IO.Directory]::GetFileSystemEntries($LiteralPath)).Count
    $global:Machine['acls'][$LiteralPath] = @{
        protected = $AclObject.AreAccessRulesProtected
        readers = @($AclObject.Rules | ForEach-Object -Process { $_.IdentityReference.Value })
        rules = @($AclObject.Rules | ForEach-Object -Process { $_.Text })
    }
    Add-Call "Set-Acl $LiteralPath, in which are $inside files"
}

# --- time: waiting costs none

function global:Start-Sleep {
    [CmdletBinding()] param([int]$Seconds)
    $global:Late += $Seconds
    $global:Machine['waited'] = $global:Late
}

function global:Get-Date {
    return [DateTime]::Now.AddSeconds($global:Late)
}

$given = ConvertFrom-Json -InputObject $Parameters -AsHashtable
$global:LASTEXITCODE = -1
if ($global:Machine['language'] -ne 'FullLanguage') {
    $ExecutionContext.SessionState.LanguageMode = $global:Machine['language']
}
& $Script @given
Exit-Machine -Code $LASTEXITCODE
